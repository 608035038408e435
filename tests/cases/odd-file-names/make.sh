mkdir "$EV/evidence"
i=0
for n in $'new\nline' 'back\slash' 'quote"' "it's" $'esc\e[31m' 'col:1' 'st*r?' ' sp ' '%s{}'; do
    rec $i >"$EV/evidence/$n.jsonl"
    i=$((i + 1))
done
