mkdir "$EV/evidence"
rec 1 >"$EV/evidence/a.jsonl"
ln -s a.jsonl "$EV/evidence/b.jsonl"
