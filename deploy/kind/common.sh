# shellcheck shell=bash
# What the scripts share. DRY_RUN=1 shows the commands instead of running them.

export LC_ALL=C # printf reads 117.4 with a point

say() { printf '\n== %s\n' "$*" >&2; }

run() {
  printf '+ %s\n' "$*" >&2
  [ -n "${DRY_RUN:-}" ] || "$@"
}

need() {
  local program
  for program in "$@"; do
    [ -n "${DRY_RUN:-}" ] || command -v "$program" >/dev/null || {
      echo "kind: install $program; make kind-up needs docker, kind, kubectl and helm" >&2
      exit 1
    }
  done
}
