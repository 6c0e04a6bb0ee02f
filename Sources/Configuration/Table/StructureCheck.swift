// The statements of one block against the table: is each known, in its place, given once, of the right form,
// and available?
//
// What passes comes out as entries; what does not is reported here, once, and comes out as an attempt, so
// that the validator does not also complain that it is missing. Values are not judged here.

/// A statement with its row of the table: its form is right.
package struct Entry {
    package let directive: Directive
    package let statement: Statement

    package var name: String { directive.name }
    package var arguments: [Argument] { statement.arguments }
    package var location: SourceLocation { statement.nameLocation }
}

/// The statements of one block, checked.
package struct CheckedBlock {
    package let block: Block
    /// In the order of the file.
    package fileprivate(set) var entries: [Entry] = []
    /// What was meant, with the statement that says so: faulty and misspelt ones too.
    package fileprivate(set) var attempts: [(name: String, statement: Statement)] = []

    package func entry(_ name: String) -> Entry? { entries.first { $0.name == name } }

    package func entries(_ name: String) -> [Entry] { entries.filter { $0.name == name } }

    /// Whether the directive is there, however faulty.
    package func attempted(_ name: String) -> Bool { attempts.contains { $0.name == name } }
}

package struct StructureCheck {
    let report: DiagnosticReport

    package func check(_ statements: [Statement], in block: Block) -> CheckedBlock {
        var checked = CheckedBlock(block: block)
        var firsts: [String: SourceLocation] = [:]
        for statement in statements {
            guard let directive = directive(of: statement, in: block, into: &checked) else { continue }
            checked.attempts.append((directive.name, statement))
            if !directive.mayRepeat, let first = firsts[directive.name] {
                report.error(
                    "'\(directive.name)' is given again", at: statement.nameLocation,
                    help: "it was first given at \(report.place(first))")
                continue
            }
            firsts[directive.name] = statement.nameLocation
            if !statement.isBroken, hasRightForm(statement, directive) {
                checked.entries.append(Entry(directive: directive, statement: statement))
            }
        }
        return checked
    }

    /// The row of a statement; nil, reported, if it may not stand here.
    private func directive(
        of statement: Statement, in block: Block, into checked: inout CheckedBlock
    ) -> Directive? {
        let name = statement.name
        let location = statement.nameLocation
        if let row = DirectiveTable.row(name, in: block) { return row }
        let elsewhere = DirectiveTable.rows(named: name)
        if let row = elsewhere.first {
            let places = elsewhere.flatMap(\.blocks).map(\.phrase)
            report.error(
                "'\(name)' may not stand in \(block.phrase)", at: location,
                help: "it stands in \(places.joined(separator: " or ")): \(row.example)")
        } else if let meant = reportUnknown(statement, in: block) {
            checked.attempts.append((meant, statement))
        }
        return nil
    }

    /// The result is the name in this block that was probably meant.
    private func reportUnknown(_ statement: Statement, in block: Block) -> String? {
        let here = DirectiveTable.names(in: block)
        let near = EditDistance.nearest(to: statement.name, in: here)
        var help = "\(block.phrase) knows \(here.joined(separator: ", "))"
        if let near {
            help = "did you mean '\(near)'?"
        } else if let counterpart = NginxWords.counterpart(of: statement.name) {
            help = "nginx's '\(statement.name)' is \(counterpart)"
        } else if let far = EditDistance.nearest(to: statement.name, in: DirectiveTable.rows.map(\.name)) {
            let places = DirectiveTable.rows(named: far).flatMap(\.blocks).map(\.phrase)
            help = "did you mean '\(far)'?"
            if !places.isEmpty { help += " It stands in \(places.joined(separator: " or "))" }
        }
        report.error(
            "unknown directive \(report.quoted(statement.nameLocation))", at: statement.nameLocation,
            help: help)
        return near
    }

    private func reportUnavailable(_ what: String, at location: SourceLocation) {
        report.error("'\(what)' is not available yet", at: location, help: "a later release brings it")
    }

    private func hasRightForm(_ statement: Statement, _ directive: Directive) -> Bool {
        let later = statement.arguments.filter { directive.bringsLater($0.text) }
        for argument in later {
            let known = directive.laterArguments.first { argument.text.hasPrefix($0) } ?? argument.text
            reportUnavailable(known, at: argument.location)
        }
        if !later.isEmpty { return false }

        let count = directive.argumentCount
        if !count.contains(statement.arguments.count) {
            let excess = statement.arguments.dropFirst(count.upperBound).first
            report.error(
                "'\(directive.name)' takes \(countText(count)), not \(statement.arguments.count)",
                at: excess?.location ?? statement.nameLocation,
                help: directive.formAndExample)
            return false
        }
        if (directive.opens != nil) == (statement.body != nil) { return true }
        if directive.blockIsOptional && statement.body == nil { return true }
        report.error(
            directive.opens == nil
                ? "'\(directive.name)' takes no block" : "'\(directive.name)' needs a block in braces",
            at: statement.nameLocation, help: directive.formAndExample)
        return false
    }

    private func countText(_ count: ClosedRange<Int>) -> String {
        switch (count.lowerBound, count.upperBound) {
        case (0, 0): "no arguments"
        case (1, 1): "one argument"
        case (let low, let high) where low == high: "\(low) arguments"
        case (let low, Directive.listMin...): "\(low) or more arguments"
        case (let low, let high): "\(low) to \(high) arguments"
        }
    }
}
