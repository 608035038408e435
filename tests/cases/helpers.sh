# What the scripts of a case can call. Given are ETL (the command), PY (its Python), ROOT, EV (its evidence folder), CASE and ASK.

# run [OPTION…]: a run that ends, whether it passed or not
run() { "$ETL" run-all --root "$ROOT" --evidence "$EV" "$@" >"$ROOT/out" 2>&1 || case $? in 1 | 3) ;; *) tail -n 1 "$ROOT/out" >&2; return 1 ;; esac; }

# rec N [VERDICT]: a line of evidence
rec() { printf '{"source_class":"verdict","run_id":"r%s","task_id":"t%s","prompt":"p","response":"a%s","verdict":"%s"}\n' "$1" "$1" "$1" "${2:-accept}"; }

# q SQL [ROOT]: rows of the warehouse, and of export_row (see ask.py)
q() { "$PY" "$ASK" query "${2:-$ROOT}" "$1"; }

# receipt NAME [KEYS]: a value of the newest run's document, as in: receipt collect items.blank
receipt() { "$PY" "$ASK" receipt "$ROOT" "$@"; }

# files DATASET ENDING [ROOT]: the files of a dataset
files() {
    case $1 in rag) set -- rag/playbooks "$2" "${3:-}" ;; sft) set -- sft/instruction_response "$2" "${3:-}" ;; preference) set -- preference/chosen_rejected "$2" "${3:-}" ;; esac
    find "${3:-$ROOT}/exports/$1" "${3:-$ROOT}/exports/$1.$2" -name "*.$2" 2>/dev/null | LC_ALL=C sort
}

# rows DATASET [ROOT]: all rows of a dataset (rag, sft, preference, quarantine/rag, …); parquet DATASET [ROOT]: its Parquet files
rows() { files "$1" jsonl "${2:-}" | tr '\n' '\0' | xargs -0 -r cat; }
parquet() { files "$1" parquet "${2:-}"; }

# runs: the ids of the runs, oldest first
runs() { find "$ROOT/reports/distillation" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | LC_ALL=C sort; }

# is GOT WANTED: fail where they differ
is() { [ "$1" = "$2" ] || { echo "got: $1"; echo "not: $2"; exit 1; }; }

# sums ROOT: one hash over all exported bytes
sums() { (cd "$1/exports" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16); }
