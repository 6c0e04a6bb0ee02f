// Completion for zsh: the same walk as in bash, with a line on each word beside it.

/// The script for zsh: the file `_auth-gateway` of a directory of its `fpath`.
enum ZshCompletion {
    static var script: String {
        let places = CompletionPlace.all
        let files = CompletionPlace.valued.filter(\.isFile).map(\.name)
        let texts = CompletionPlace.valued.filter { !$0.isFile }.map(\.name)
        let leading = places.filter(\.leadsOn).map { ShellWord.quoted($0.path) }.joined(separator: " | ")
        return """
            #compdef auth-gateway
            # Completion of auth-gateway for zsh.
            _auth_gateway() {
                local place= operand= index
                local -a options operands offered
                local -i given=1
                for ((index = 2; index < CURRENT; index++)); do
                    case ${words[index]} in
                        (\((files + texts).joined(separator: " | "))) ((index++)) ;;
                        (-?*) ;;
                        (*)
                            case $place in
                                (\(leading)) place=${place:+$place }${words[index]} ;;
                                (*) ((given++)) ;;
                            esac
                            ;;
                    esac
                done
                case $place in
            \(places.map(row).joined(separator: "\n"))
                    (*) return 1 ;;
                esac
                case ${words[CURRENT - 1]} in
                    (\(files.joined(separator: " | "))) _files; return ;;
                    (\(texts.joined(separator: " | "))) _message value; return ;;
                esac
                if [[ $PREFIX == -* ]]; then
                    _describe -o option options
                    return
                fi
                operand=${operands[given]-}
                case $operand in
                    (FILE) _files ;;
                    ('') _message value ;;
                    (*)
                        offered=("${(@f)operand}")
                        _describe word offered
                        ;;
                esac
            }
            if [[ $funcstack[1] == _auth-gateway ]]; then
                _auth_gateway "$@"
            else
                compdef _auth_gateway auth-gateway
            fi
            """
    }

    private static func row(_ place: CompletionPlace) -> String {
        let options = place.options.flatMap { option in
            option.names.map { ShellWord.quoted("\($0):\(described(option.summary))") }
        }
        let operands = place.operands.map { operand in
            switch operand {
            case .words(let words):
                ShellWord.quoted(words.map { "\($0.word):\(described($0.summary))" }.joined(separator: "\n"))
            case .file: "FILE"
            case .text: "''"
            }
        }
        return """
                    (\(ShellWord.quoted(place.path)))
                        options=(\(options.joined(separator: " ")))
                        operands=(\(operands.joined(separator: " ")))
                        ;;
            """
    }

    /// A colon would end a description's word.
    private static func described(_ summary: String) -> String {
        summary.map { $0 == ":" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
    }
}
