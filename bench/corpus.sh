#!/usr/bin/env bash
# Real prose for bench/gpu_sweep.yaml, from Debian packages: plain text, one document after another, markup stripped.
#   bench/corpus.sh FOLDER        needs apt-get (any user), python3; writes FOLDER/*.txt
# Packages: anarchism (an FAQ), git-doc, perl-doc. Their versions are those of the machine's Debian
# release; the text task hashes every file, so trials of another release are other trials.
set -euo pipefail
to=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in anarchism git-doc perl-doc; do
  apt-get download -q "$package" >/dev/null
  mkdir "$package"
  dpkg-deb -x "$package"_*.deb "$package"
  python3 - "$package" "$to/$package.txt" <<'PYTHON'
import gzip, html, pathlib, re, sys

root, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
seen, out = set(), []
for path in sorted(root.rglob("*")):
    name = path.name.removesuffix(".gz")
    if path.is_symlink() or not path.is_file() or not name.endswith((".html", ".txt", ".pod")): continue
    if name.startswith(("changelog", "copyright")): continue
    data = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    text = data.decode("utf-8", "replace")
    if name.endswith(".html"):
        text = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", " ", text)
        text = re.sub(r"(?i)</?(p|div|li|h[1-6]|br|tr|pre|dd|dt)\b[^>]*>", "\n", text)
        text = html.unescape(re.sub(r"(?s)<[^>]*>", "", text))
    if name.endswith(".pod"):
        text = re.sub(r"(?m)^=\w+.*$", "", re.sub(r"[BCEFILSXZ]<+\s*([^<>]*?)\s*>+", r"\1", text))
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r"\n\s*\n\s*", "\n\n", text).strip()
    if len(text) > 200 and text not in seen:
        seen.add(text)
        out.append(text)
target.write_text("\n\n".join(out) + "\n")
print(f"{target.name}: {len(out)} documents, {target.stat().st_size} bytes")
PYTHON
done
