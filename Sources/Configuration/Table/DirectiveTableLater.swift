// The rows of directives that later releases bring: known by name, refused as not available yet.
//
// A row here moves to the rows of its block when its feature arrives. The directives inside of blocks
// that come later stand in no block, because the whole block is refused first.

extension DirectiveTable {
    static let later: [Directive] = [
        row("issuer", in: [.main], "A foreign identity provider whose access tokens are accepted."),
        row("expect", in: [.main], "A test of the policy that 'check' runs."),
        row(
            "style", in: [.accessToken], "Another style of access token, such as one token with two expiries."
        ),
        row(
            "access_check", in: [.refreshToken],
            "Asks an upstream at each refresh whether the subject may come in."),

        row("jwks", in: [], "Where a foreign issuer publishes its keys."),
        row("jwks_file", in: [], "A file with a foreign issuer's keys."),
        row("public_key", in: [], "A foreign issuer's key in a PEM file."),
        row("use_expiry", in: [], "The claim that holds the second expiry of a single token."),
    ]

    private static func row(_ name: String, in blocks: [Block], _ summary: String) -> Directive {
        Directive(name, in: blocks, .arguments("…", 0...1_000), repeats: true, summary, availability: .later)
    }
}
