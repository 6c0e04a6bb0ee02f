// The rows of directives that later releases bring: known by name, refused as not available yet.
//
// A row here moves to the rows of its block when its feature arrives.

extension DirectiveTable {
    static let later: [Directive] = [
        row("expect", in: [.main], "A test of the policy that 'check' runs.")
    ]

    private static func row(_ name: String, in blocks: [Block], _ summary: String) -> Directive {
        Directive(name, in: blocks, .arguments("…", 0...1_000), repeats: true, summary, availability: .later)
    }
}
