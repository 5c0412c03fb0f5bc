#!/bin/sh
# Makes the virtual environment that the image holds: `deploy/image/build.sh SOURCE VENV`.
# The Dockerfile runs it.
set -eu
source=$1
venv=$2
: "${SOURCE_DATE_EPOCH:=0}" # times in the wheel; a fixed one makes two builds alike
export SOURCE_DATE_EPOCH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# a fixed place: pip writes down where it found the wheel
tools=$venv.tools
mkdir "$tools"
trap 'rm -rf "$tools"' EXIT

# the tools stay outside: what is served from needs neither pip nor the build backend
python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --require-hashes --no-deps --only-binary :all: -r "$source/deploy/image/build.lock"
"$tools/venv/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$tools/wheel" "$source"

python3 -m venv --without-pip "$venv"
"$tools/venv/bin/pip" --python "$venv/bin/python" install --quiet --no-compile --require-hashes --no-deps \
  --only-binary :all: -r "$source/deploy/image/requirements.lock"
"$tools/venv/bin/pip" --python "$venv/bin/python" install --quiet --no-compile --no-deps --no-index "$tools"/wheel/*.whl
"$tools/venv/bin/pip" --python "$venv/bin/python" check

# what the image holds, in CycloneDX's words, for whoever looks for vulnerable versions
mkdir -p "$venv/share"
"$tools/venv/bin/cyclonedx-py" environment --output-reproducible --output-format JSON \
  --output-file "$venv/share/sbom.cdx.json" "$venv/bin/python"

# a third of the size is the libraries' own tests
find "$venv/lib" -type d -name tests -prune -exec rm -rf {} +
find "$venv/lib" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name direct_url.json \) -delete

# for LightGBM, from where Debian keeps it on this platform
mkdir -p "$venv/lib/native"
for library in /usr/lib/*/libgomp.so.1; do
  cp -L "$library" "$venv/lib/native/"
done

# bytecode that is valid by its content, not by times: quick starts from a read-only file system, alike in every build.
# -f: what ran above has left some that is valid by times
"$venv/bin/python" -m compileall -f -q --invalidation-mode unchecked-hash "$venv/lib" >/dev/null
