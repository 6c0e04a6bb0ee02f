// The rows of directives that later releases bring: known by name, refused as not available yet.
//
// A row here moves to its block in `DirectiveTable` when its feature arrives. The directives inside of blocks
// that come later stand in no block, because the whole block is refused first.

extension DirectiveTable {
    static let later: [Directive] = [
        row("trusted_proxies", in: [.main], "The proxies in front whose X-Forwarded fields are believed."),
        row("tls", in: [.main, .upstream], "Certificates and protocol versions."),
        row("issuer", in: [.main], "A foreign identity provider whose access tokens are accepted."),
        row("expect", in: [.main], "A test of the policy that 'check' runs."),
        row(
            "style", in: [.accessToken], "Another style of access token, such as one token with two expiries."
        ),
        row(
            "access_check", in: [.refreshToken],
            "Asks an upstream at each refresh whether the subject may come in."),
        row("rate", in: [.refreshToken, .route], "How many requests a client may make in a time."),
        row("balance", in: [.upstream], "How requests are spread over several servers."),
        row("health_check", in: [.upstream], "Probes that take a failing server out of use."),
        row("tls_ca", in: [.upstream], "The authorities that may vouch for the upstream's certificate."),
        row("strip_prefix", in: [.route], "Forwards the path without the prefix of the route."),
        row("set_header", in: [.route], "Adds a header field to the forwarded request."),
        row("remove_header", in: [.route], "Removes a header field from the forwarded request."),
        row("methods", in: [.route], "The request methods that the route takes."),
        row("timeouts", in: [.route], "Timeouts of this route alone."),
        row("respond", in: [.route], "A fixed answer, without an upstream."),
        row("observe", in: [.route], "Logs what would be refused, and refuses nothing."),
        row("login_page", in: [.route], "Where a page navigation without a session is sent."),
        row("cors", in: [.route], "Answers cross-origin preflights."),

        row("certificate", in: [], "The certificate chain of a listener."),
        row("private_key", in: [], "The key of a certificate."),
        row("minimum_version", in: [], "The oldest TLS version that is spoken."),
        row("server_name", in: [], "Certificates for another host name."),
        row("client_ca", in: [], "The authorities that may vouch for client certificates."),
        row("jwks", in: [], "Where a foreign issuer publishes its keys."),
        row("jwks_file", in: [], "A file with a foreign issuer's keys."),
        row("public_key", in: [], "A foreign issuer's key in a PEM file."),
        row("use_expiry", in: [], "The claim that holds the second expiry of a single token."),
        row("timeout", in: [], "How long a check may take."),
        row("every", in: [], "How often a check or a fetch is made."),
        row("fails", in: [], "How many failed probes take a server out of use."),
        row("passes", in: [], "How many passed probes bring a server back."),
        row("origins", in: [], "The origins that scripts may call from."),
        row("credentials", in: [], "Whether cross-origin calls may carry cookies."),
    ]

    private static func row(_ name: String, in blocks: [Block], _ summary: String) -> Directive {
        Directive(name, in: blocks, .arguments("…", 0...1_000), repeats: true, summary, availability: .later)
    }
}

/// The help listing that is generated from the table.
package enum DirectiveReference {
    /// Each directive with its form, where it stands, its default and what it is for, by block.
    package static var text: String {
        var lines: [String] = []
        let rows = DirectiveTable.rows.filter { $0.availability == .now }
        for block in Block.allCases {
            let isMain = block == .main
            lines.append(isMain ? "In the main block:" : "In '\(block.rawValue) { … }':")
            lines.append("")
            // `include` stands everywhere and is listed once.
            for row in rows where row.blocks.first == block {
                lines.append("  " + row.form)
                lines.append("      " + row.summary)
                lines.append("      " + facts(of: row))
                lines.append("")
            }
        }
        lines.append("Known, but not available yet:")
        lines += wrapped(DirectiveTable.later.map(\.name))
        return lines.joined(separator: "\n") + "\n"
    }

    private static func facts(of row: Directive) -> String {
        var facts = ["stands in " + (row.blocks == Block.allCases ? "any block" : row.placeText)]
        if row.mayRepeat { facts.append("may be repeated") }
        if let range = row.rangeText { facts.append(range) }
        if let value = row.defaultText {
            facts.append("default: \(value)")
        } else if row.opens == nil, row.argumentCount.upperBound > 0 {
            facts.append("example: \(row.example)")
        }
        return facts.joined(separator: " · ")
    }

    private static func wrapped(_ names: [String]) -> [String] {
        var lines: [String] = []
        var line = "  "
        for name in names {
            if line.utf8.count + name.utf8.count > 100 {
                lines.append(line)
                line = "  "
            }
            line += line.utf8.count > 2 ? ", " + name : name
        }
        return lines + [line]
    }
}
