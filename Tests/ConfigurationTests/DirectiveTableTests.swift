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

    @Test("the reference names every directive with its form and sentence")
    func reference() {
        let text = DirectiveReference.text
        let words = text.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
        for row in DirectiveTable.rows {
            #expect(words.contains(row.form))
            #expect(words.contains(row.summary))
        }
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }

    @Test("the reference of one name has each of its meanings, and of no name nothing")
    func oneDirective() {
        let rows = DirectiveTable.rows(named: "audience")
        #expect(rows.count > 1)
        let text = DirectiveReference.text(of: "audience") ?? ""
        for row in rows { #expect(text.contains(DirectiveReference.facts(of: row)[0])) }
        #expect(text.split(separator: "\n").count { $0.hasPrefix("  audience ") } == rows.count)
        #expect(DirectiveReference.text(of: "audiense") == nil)
    }

    @Test("the sample of the other tests has every directive")
    func sampleIsComplete() {
        let words = Set((completeSample + completeSampleIncluded).split { " \n;{}".contains($0) })
        // The sample gives no warnings: it checks certificates, and its signing keys are files.
        let warned = ["insecure", "key_lifetime"]
        for row in DirectiveTable.rows where !warned.contains(row.name) {
            #expect(words.contains(Substring(row.name)), "\(row.name)")
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
