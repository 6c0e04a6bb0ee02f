// The reference that `auth-gateway help directives` prints, made from the table.

import Primitives

/// The help listing that is generated from the table.
package enum DirectiveReference {
    /// Each directive with its form, where it stands, its default and what it is for, by block.
    package static var text: String {
        var lines: [String] = []
        for (block, rows) in sections {
            lines += [title(of: block) + ":", ""]
            for row in rows { lines += entry(of: row) + [""] }
        }
        lines.removeLast()
        return lines.joined(separator: "\n")
    }

    /// The same for every meaning that `name` has; nil where there is no such directive.
    package static func text(of name: String) -> String? {
        let entries = DirectiveTable.rows(named: name).map { entry(of: $0).joined(separator: "\n") }
        return entries.isEmpty ? nil : entries.joined(separator: "\n\n")
    }

    /// The rows by block: a directive of several blocks is listed in the first, `include` in the main block.
    package static var sections: [(block: Block, rows: [Directive])] {
        Block.allCases.compactMap { block in
            let own = DirectiveTable.rows.filter { $0.blocks.first == block }
            return own.isEmpty ? nil : (block, own)
        }
    }

    /// "In 'route { … }'".
    package static func title(of block: Block) -> String {
        block == .main ? "In the main block" : "In '\(block.form)'"
    }

    /// Where it stands, how often, its bounds, and its default or else an example.
    package static func facts(of row: Directive) -> [String] {
        var facts = ["stands in " + (row.blocks == Block.allCases ? "any block" : row.placeText)]
        if row.mayRepeat { facts.append("may be repeated") }
        if let range = row.rangeText { facts.append(range) }
        if let value = row.defaultText {
            facts.append("default: \(value)")
        } else if row.opens == nil, row.argumentCount.upperBound > 0 {
            facts.append("example: \(row.example)")
        }
        return facts
    }

    private static func entry(of row: Directive) -> [String] {
        let indent = "      "
        let facts = TextWrapping.lines(joining: facts(of: row), by: " · ", width: width, indent: indent)
        return TextWrapping.lines(of: row.form, width: width, indent: "  ", hanging: indent)
            + TextWrapping.lines(of: row.summary, width: width, indent: indent)
            // Facts stay whole but where one is longer than a line.
            + facts.flatMap { TextWrapping.lines(of: $0, width: width, indent: indent) }
    }

    private static let width = 100
}
