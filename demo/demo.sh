#!/usr/bin/env bash
# The main job on this machine: up, upload, see what was made, and how to take it down again.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }
run() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

say "1. Put the pipeline up: an embedded cloud on this machine, no account, no Docker."
run imgpipe up --yes

say "2. Upload photographs, and wait until each is done."
run imgpipe upload demo/photos/*.jpg demo/photos/*.png --wait

say "3. What is known of one of them: it lay on its side, and its GPS position is not kept."
run imgpipe metadata picos.jpg

say "4. Its variants, fetched to demo/out."
for variant in thumb enhanced medium large; do
  run imgpipe download picos.jpg --variant "$variant" --out "demo/out/picos-$variant.jpg"
done

say "5. Queues, functions, alarms, images."
run imgpipe status

cat <<'END'

It is still up. Go on with `source .venv/bin/activate`, then

  imgpipe upload ANY-PHOTO.jpg --wait     imgpipe logs          imgpipe local mail
  imgpipe metadata list                   imgpipe dlq list      eval "$(imgpipe local env)"; aws s3 ls

and take it down with

  imgpipe down --delete-data              imgpipe local stop
END
