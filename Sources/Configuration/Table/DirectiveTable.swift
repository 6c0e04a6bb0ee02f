// The directives of gateway.conf: the one table, in the order in which help prints it. The rows of each block
// are in the files beside this one.
//
// A directive that means different things in different blocks has a row for each meaning.

/// The rows, and how to find one.
package enum DirectiveTable {
    /// Every directive there is.
    package static let rows: [Directive] =
        main + tls + limits + logs + control + accessToken + style + refreshToken + exchange + issuer
        + remoteKeys + upstream + upstreamTLS + healthCheck + route + cors

    package static let names = Set(rows.map(\.name))

    private static let byName = Dictionary(grouping: rows, by: \.name)

    /// The row of `name` in `block`.
    package static func row(_ name: String, in block: Block) -> Directive? {
        byName[name]?.first { $0.blocks.contains(block) }
    }

    /// Every row of `name`.
    package static func rows(named name: String) -> [Directive] { byName[name] ?? [] }

    /// The names that may stand in `block`.
    package static func names(in block: Block) -> [String] {
        rows.filter { $0.blocks.contains(block) }.map(\.name)
    }

    static let second: Int64 = 1_000
    static let minute: Int64 = 60_000
    static let day: Int64 = 86_400_000
}
