deep="$EV/evidence/$(printf 'd/%.0s' $(seq 1200))"
mkdir -p "$deep"
rec ok >"$EV/evidence/ok.jsonl"
rec deep >"$deep/f.jsonl"
