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
        for row in DirectiveTable.rows {
            #expect(text.contains(row.form))
            #expect(text.contains(row.summary))
        }
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 120 })
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
