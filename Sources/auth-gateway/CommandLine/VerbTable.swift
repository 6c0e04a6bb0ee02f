// The commands: the one table, in the order in which help prints them, and how to find one. The rows are in
// the files beside this one.

/// The commands that there are.
enum VerbTable {
    static let verbs: [Verb] = serving + questions + keys + tokens + sessions + about

    static let groups = [keyGroup, tokenGroup, sessionGroup]

    /// The first words of commands.
    static let firstWords: [String] = {
        var words: [String] = []
        for verb in verbs {
            let first = String(verb.name.prefix { $0 != " " })
            if words.last != first { words.append(first) }
        }
        return words
    }()

    static func verb(_ name: String) -> Verb? {
        verbs.first { $0.name == name || $0.aliases.contains(name) }
    }

    static func group(_ name: String) -> VerbGroup? { groups.first { $0.name == name } }

    static let configurationPath = "/etc/auth-gateway/gateway.conf"

    // MARK: - What several rows have

    static let configuration = Verb.Option(
        names: ["-c"], value: ("FILE", .file),
        summary: "the configuration; \(configurationPath) where none is named")

    static let json = Verb.Option(names: ["--json"], summary: "print JSON")

    static let done = Verb.Exit(.success, "done")
    static let badConfiguration = Verb.Exit(.configuration, "the configuration is not valid")
}
