// Completion for fish: a function that says which place a command line has come to, and a rule for each
// place.

/// The script for fish.
enum FishCompletion {
    static var script: String {
        let places = CompletionPlace.all
        let valued = CompletionPlace.valued.map(\.name).joined(separator: " ")
        let leading = places.filter(\.leadsOn).map { quoted($0.path) }.joined(separator: " ")
        return """
            # Completion of auth-gateway for fish.
            function __auth_gateway_at --argument-names wanted count
                set -l words (commandline -opc)
                set -l place ''
                set -l given 0
                set -l skips 0
                for word in $words[2..-1]
                    if test $skips = 1
                        set skips 0
                        continue
                    end
                    switch $word
                        case \(valued)
                            set skips 1
                        case '-?*'
                        case '*'
                            if contains -- "$place" \(leading)
                                set place (string trim -- "$place $word")
                            else
                                set given (math $given + 1)
                            end
                    end
                end
                test "$place" = "$wanted"; and test -z "$count" -o "$count" = $given
            end
            complete -c auth-gateway -f
            \(places.flatMap(rules).joined(separator: "\n"))
            """
    }

    private static func rules(_ place: CompletionPlace) -> [String] {
        let options = place.options.map { option in
            let names = option.names.map { name in
                name.hasPrefix("--") ? "-l \(name.dropFirst(2))" : "-s \(name.dropFirst())"
            }
            let what = names.joined(separator: " ") + value(of: option)
            return rule(place.path, nil, what, option.summary)
        }
        let operands = place.operands.enumerated().flatMap { index, operand -> [String] in
            switch operand {
            case .words(let words):
                words.map { rule(place.path, index, "-a \(quoted($0.word))", $0.summary) }
            case .file: [rule(place.path, index, "-F", "")]
            case .text: []
            }
        }
        return options + operands
    }

    private static func value(of option: Verb.Option) -> String {
        switch option.value?.kind {
        case nil: ""
        case .file: " -r -F"
        default: " -x"
        }
    }

    private static func rule(_ path: String, _ index: Int?, _ what: String, _ summary: String) -> String {
        let condition = "__auth_gateway_at \"\(path)\"" + (index.map { " \($0)" } ?? "")
        let description = summary.isEmpty ? "" : " -d \(quoted(summary))"
        return "complete -c auth-gateway -n \(quoted(condition)) \(what)\(description)"
    }

    /// Within quotation marks a backslash before one, and before another backslash, is one.
    private static func quoted(_ word: String) -> String {
        "'" + word.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "'"
    }
}
