rec 1 >"$EV/evidence.jsonl"
printf '{"source_class":"verdict","run_id":"r2","task_id":"t2","prompt":"p","response":"%s","verdict":"accept"}\n' \
    "$(head -c 6000000 /dev/zero | tr '\0' x)" >>"$EV/evidence.jsonl"
rec 3 >>"$EV/evidence.jsonl"
