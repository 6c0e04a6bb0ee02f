// Completion for bash: a function that walks the words to a place in the table, and offers what it takes.

/// The script for bash.
enum BashCompletion {
    static var script: String {
        let places = CompletionPlace.all
        let files = CompletionPlace.valued.filter(\.isFile).map(\.name)
        let texts = CompletionPlace.valued.filter { !$0.isFile }.map(\.name)
        let leading = places.filter(\.leadsOn).map { ShellWord.quoted($0.path) }.joined(separator: " | ")
        return """
            # Completion of auth-gateway for bash.
            _auth_gateway() {
                local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
                local place='' options='' operands=() given=0 index
                for ((index = 1; index < COMP_CWORD; index++)); do
                    case ${COMP_WORDS[index]} in
                        \((files + texts).joined(separator: " | "))) ((index++)) ;;
                        -?*) ;;
                        *)
                            case $place in
                                \(leading)) place=${place:+$place }${COMP_WORDS[index]} ;;
                                *) ((given++)) ;;
                            esac
                            ;;
                    esac
                done
                COMPREPLY=()
                case $place in
            \(places.map(row).joined(separator: "\n"))
                    *) return ;;
                esac
                local operand=${operands[given]-}
                case $previous in
                    \(files.joined(separator: " | "))) operand=FILE ;;
                    \(texts.joined(separator: " | "))) return ;;
                    *) [[ $word == -* ]] && operand=$options ;;
                esac
                if [[ $operand == FILE ]]; then
                    compopt -o filenames 2>/dev/null
                    mapfile -t COMPREPLY < <(compgen -f -- "$word")
                else
                    mapfile -t COMPREPLY < <(compgen -W "$operand" -- "$word")
                fi
            }
            complete -F _auth_gateway auth-gateway
            """
    }

    private static func row(_ place: CompletionPlace) -> String {
        let options = place.options.flatMap(\.names).joined(separator: " ")
        let operands = place.operands.map { operand in
            switch operand {
            case .words(let words): ShellWord.quoted(words.map(\.word).joined(separator: " "))
            case .file: "FILE"
            case .text: "''"
            }
        }
        return "        \(ShellWord.quoted(place.path))) options=\(ShellWord.quoted(options)) "
            + "operands=(\(operands.joined(separator: " "))) ;;"
    }
}
