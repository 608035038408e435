mkdir "$EV/evidence"
rec ok >"$EV/evidence/ok.jsonl"
cd "$EV/evidence"
n=$(printf 'n%.0s' $(seq 200))
for _ in $(seq 25); do mkdir "$n"; cd "$n"; done
rec deep >f.jsonl
