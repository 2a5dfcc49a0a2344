# SPDX-License-Identifier: BSD-2-Clause
# bash completion for sluice(1). Which words there are is known to the command alone: the hidden
# `sluice complete` prints one candidate a line, or @files where a file name is wanted.

# The words up to the cursor, whole: readline has broken them at ':' and '='.
_sluice_words() {
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n =: cur words cword
		words=("${words[@]:0:cword}" "$cur")
	else
		local line=${COMP_LINE:0:COMP_POINT}
		read -r -a words <<<"$line"
		[[ $line == *[[:space:]] ]] && words+=('')
		cur=${words[-1]}
	fi
}

# What readline will keep of the word: all up to its last ':' or '=', where these break words.
_sluice_kept() {
	local rest=$cur breaks=
	[[ $COMP_WORDBREAKS == *:* ]] && breaks+=':'
	[[ $COMP_WORDBREAKS == *=* ]] && breaks+='='
	[[ $breaks ]] && rest=${cur##*["$breaks"]}
	kept=${cur%"$rest"}
}

_sluice_files() {
	local file path=${cur##*=}
	compopt -o filenames 2>/dev/null
	while IFS= read -r file; do
		candidates+=("${cur%"$path"}$file")
	done < <(compgen -f -- "$path")
}

_sluice() {
	local cur words cword kept candidate candidates
	_sluice_words
	_sluice_kept
	mapfile -t candidates < <("$1" complete -- "${words[@]:1}" 2>/dev/null)
	if [[ ${candidates[*]} == @files ]]; then
		candidates=()
		_sluice_files
	fi
	COMPREPLY=()
	for candidate in "${candidates[@]}"; do
		[[ $candidate == "$cur"* ]] || continue
		COMPREPLY+=("${candidate#"$kept"}")
		[[ $candidate == *[:=,] ]] && compopt -o nospace 2>/dev/null
	done
}

complete -F _sluice sluice
