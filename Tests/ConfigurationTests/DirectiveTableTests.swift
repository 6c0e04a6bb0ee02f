// The table: complete, consistent, and the source of the reference that help prints.

import Configuration
import Testing

@Suite("The directive table")
struct DirectiveTableTests {
    @Test("a name has one row in a block, and every row a sentence")
    func rowsAreDistinct() {
        var seen: Set<String> = []
        for row in DirectiveTable.rows {
            #expect(row.summary.hasSuffix("."))
            for block in row.blocks {
                #expect(seen.insert("\(row.name) in \(block)").inserted, "\(row.name)")
            }
        }
    }

    @Test("the reference names every available directive with its form and sentence, and every later one")
    func reference() {
        let text = DirectiveReference.text
        for row in DirectiveTable.rows {
            #expect(text.contains(row.availability == .now ? row.form : row.name))
            if row.availability == .now { #expect(text.contains(row.summary)) }
        }
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 120 })
    }

    @Test("the sample of the other tests has every available directive")
    func sampleIsComplete() {
        let words = Set((completeSample + completeSampleIncluded).split { " \n;{}".contains($0) })
        // The sample gives no warnings: it checks certificates, and its signing keys are files.
        let warned = ["insecure", "key_lifetime"]
        for row in DirectiveTable.rows where row.availability == .now && !warned.contains(row.name) {
            #expect(words.contains(Substring(row.name)), "\(row.name)")
        }
    }

    @Test("each directive that comes later is called so where it will stand")
    func laterDirectives() {
        for row in DirectiveTable.rows where row.availability == .later {
            let statement = "\(row.name) some { thing 1; } "
            let loaded =
                switch row.blocks.first {
                case .accessToken: load(minimal(access: statement))
                case .refreshToken: load(minimal("refresh_token { \(statement) }"))
                case .upstream: load(minimal("upstream other { server http://127.0.0.1:1; \(statement) }"))
                case .route: load(minimal(route: statement))
                default: load(minimal(statement))
                }
            #expect(messages(loaded) == ["'\(row.name)' is not available yet"])
        }
    }

    @Test(
        "each option and value that comes later is called so",
        arguments: [
            ("control { listen 127.0.0.1:1 tls; }", "tls"),
            ("sessions postgresql \"host=db\";", "postgresql"),
        ])
    func laterValues(text: String, word: String) {
        #expect(messages(load(minimal(text))) == ["'\(word)' is not available yet"])
    }
}
