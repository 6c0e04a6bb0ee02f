// The reference that `auth-gateway help` prints, made from the table.

/// The help listing that is generated from the table.
package enum DirectiveReference {
    /// Each directive with its form, where it stands, its default and what it is for, by block.
    package static var text: String {
        var lines: [String] = []
        let rows = DirectiveTable.rows
        for block in Block.allCases {
            // A directive of several blocks is listed in the first, `include` in the main block.
            let own = rows.filter { $0.blocks.first == block }
            if own.isEmpty { continue }
            let isMain = block == .main
            lines.append(isMain ? "In the main block:" : "In '\(block.form)':")
            lines.append("")
            for row in own {
                lines.append("  " + row.form)
                lines.append("      " + row.summary)
                lines += wrapped(facts(of: row), by: " · ", indent: "      ")
                lines.append("")
            }
        }
        lines.removeLast()
        return lines.joined(separator: "\n") + "\n"
    }

    private static func facts(of row: Directive) -> [String] {
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

    private static func wrapped(_ parts: [String], by separator: String, indent: String) -> [String] {
        var lines: [String] = []
        var line = indent
        for part in parts {
            if line.utf8.count + part.utf8.count > 100, line != indent {
                lines.append(line)
                line = indent
            }
            line += line == indent ? part : separator + part
        }
        return lines + [line]
    }
}
