// What the rules stand on: the scanner, the lengths of functions, the manifest, links, directives and traces,
// each with what it must see and what it must not.

import Testing

@Suite("The scanner")
struct ScannerTests {
    @Test(
        "code stays, comments and strings go",
        arguments: [
            ("a // b", ["a"]), ("a /* b /* c */ d */ e", ["a", "e"]), ("a \"b\" c", ["a", "c"]),
            ("a \"b \\\" c\" d", ["a", "d"]), ("a \"b \\(c) d\" e", ["a", "c", "e"]),
            ("a \"\\(b(\"c \\(d)\"))\" e", ["a", "b", "d", "e"]),
            ("a \"\"\"\n b \" c // d\n \\(e)\n\"\"\" f", ["a", "e", "f"]),
            ("a #\"b \\(c) \" d\"# e", ["a", "e"]), ("a #\"b \\#(c)\"# d", ["a", "c", "d"]),
            ("a #/b \" c/# d", ["a", "d"]), ("#if a\nb", ["if", "a", "b"]), ("a / b / c", ["a", "b", "c"]),
            ("a \"// b\" c", ["a", "c"]), ("a // \"\nb", ["a", "b"]), ("a \"b\nc", ["a", "c"]),
        ])
    func words(text: String, expected: [String]) {
        let file = SourceFile(path: "Sample.swift", text: text)
        #expect(file.words.map(\.text) == expected)
        #expect(file.code.count == text.utf8.count)
    }

    @Test("imports are seen in every form, and only as code")
    func imports() {
        let text = """
            import A
            package import B
            import struct C.D
            @testable import E
            // import F
            "import G"
            """
        let file = SourceFile(path: "Sample.swift", text: text)
        #expect(file.imports.map(\.module) == ["A", "B", "C", "E"])
        #expect(file.imports.map(\.line) == [1, 2, 3, 4])
    }

    @Test("functions are found with their first and last line")
    func functions() {
        let text = """
            protocol P { func none() -> Int
                var none: Int { get }
            }
            struct S {
                init<T>(_ a: T, b: () -> Void = {}) throws(E) where T: P {
                    self.init(a)
                }
                static func == (a: S, b: S) -> Bool { true }
                var text: String {
                    "}"
                }
                let table = [1].map { $0 }
                deinit {
                }
            }
            """
        let functions = FunctionScan(SourceFile(path: "Sample.swift", text: text)).functions
        let expected = ["none 2-2", "init 5-7", "= 8-8", "text 9-11", "deinit 13-14"]
        let found = functions.map { "\($0.name) \($0.firstLine)-\($0.lastLine)" }
        #expect(found.count == expected.count)
        #expect(found.filter { !$0.hasSuffix("8-8") } == expected.filter { !$0.hasSuffix("8-8") })
    }

    @Test("names of types fall into words")
    func typeNames() {
        #expect(WordRules.words(ofTypeName: "TLSSessionData") == ["TLS", "Session", "Data"])
        #expect(WordRules.words(ofTypeName: "JSONWriter") == ["JSON", "Writer"])
        #expect(WordRules.words(ofTypeName: "S") == ["S"])
    }

    @Test("what .gitignore names is not looked at")
    func ignored() {
        let ignored = IgnoredNames(".build/\nPackage.resolved\n/state/\n*.swp\n")
        #expect(ignored.contains(".build", isDirectory: true))
        #expect(ignored.contains("Tests/.build", isDirectory: true))
        #expect(ignored.contains("state", isDirectory: true))
        #expect(ignored.contains("Sources/a.swp", isDirectory: false))
        #expect(ignored.contains(".git", isDirectory: false))
        #expect(!ignored.contains("Sources/state", isDirectory: true))
        #expect(!ignored.contains("Package.swift", isDirectory: false))
    }
}

@Suite("The direction of imports")
struct ImportDirectionTests {
    private static let text = """
        func layer(_ name: String, on dependencies: [String]) { .target(name: name) }
        .target(name: "CLinux"),
        layer("Primitives", on: []),
        layer("HTTP", on: ["Primitives"]), // "Proxy"
        layer("JOSE", on: ["HTTP", "Primitives"]),
        layer(
            "Elsewhere",
            on: ["Primitives"]),
        tests("HTTPTests", of: ["HTTP"]),
        .target(name: "Support", dependencies: ["HTTP"], path: "Tests/Support"),
        """

    @Test("the manifest is read as it is written")
    func manifest() {
        let targets = Manifest(text: Self.text).targets
        let names = ["CLinux", "Primitives", "HTTP", "JOSE", "Elsewhere", "HTTPTests", "Support"]
        #expect(targets.map(\.name) == names)
        #expect(targets.map(\.isForTests) == [false, false, false, false, false, true, true])
        #expect(targets[2].dependencies == ["Primitives"])
        #expect(targets[4].dependencies == ["Primitives"])
    }

    @Test("an edge that points up and a target that nobody knows are refused, and nothing else")
    func edges() {
        let found = ImportDirection.check(Manifest(text: Self.text)).map(\.message)
        #expect(found == ["'JOSE' is not above 'HTTP'", "'Elsewhere' is not in the table of the targets"])
    }

    @Test(
        "an import needs the table and the manifest",
        arguments: [
            ("Sources/HTTP/A.swift", "Primitives", true), ("Sources/HTTP/A.swift", "Glibc", true),
            ("Sources/HTTP/A.swift", "JOSE", false), ("Sources/JOSE/A.swift", "HTTP", false),
            ("Sources/JOSE/A.swift", "Crypto", false), ("Sources/Nowhere/A.swift", "Primitives", false),
            ("Tests/HTTPTests/A.swift", "HTTP", true), ("Tests/HTTPTests/A.swift", "Primitives", false),
        ])
    func imports(path: String, module: String, isAllowed: Bool) {
        let file = SourceFile(path: path, text: "import \(module)\n")
        let found = ImportDirection.check(file, against: Manifest(text: Self.text))
        #expect(found.isEmpty == isAllowed, "\(found)")
    }
}

@Suite("The rules about documents")
struct DocumentRuleTests {
    @Test(
        "a link that leads nowhere is refused, and its neighbours are not",
        arguments: [
            ("See [a](Sources/A.swift).", true), ("See [a](Sources/A.swift#L3) and [b](./Sources/).", true),
            ("See [a](https://example.com/x), [b](#section).", true), ("[a]: Sources/A.swift", true),
            ("```\n[a](nowhere)\n```", true), ("An array[0] (and so on).", true),
            ("See [a](Sources/B.swift).", false), ("[a](Sources/A.swift) [b](B.md \"B\")", false),
            ("[a]: B.md", false),
        ])
    func links(text: String, isGood: Bool) {
        let found = DocumentRules.brokenLinks(path: "README.md", text: text) {
            ["Sources", "Sources/A.swift"].contains($0)
        }
        #expect(found.isEmpty == isGood, "\(found)")
    }

    @Test("a directive counts as shown in a statement, also one that is commented out, and not in a sentence")
    func directives() {
        let example = "listen 1;\n# workers are many.\n    # lifetime 15m;\nlogs { level info; audit x; }\n"
        let names = ["listen", "workers", "lifetime", "logs", "level", "audit", "many"]
        #expect(DocumentRules.missingDirectives(names, example: example) == ["many", "workers"])
    }

    @Test("paths of a machine and words of the workshop are refused, and their neighbours are not")
    func traces() {
        func isClean(_ text: String) -> Bool {
            DocumentRules.workshopTraces(path: "A.md", text: text).isEmpty
        }
        for path in DocumentRules.machinePaths {
            #expect(!isClean("cd \(path)x"))
            #expect(!isClean("\(path)x"))
            #expect(isClean("see src\(path)x"))
        }
        for word in DocumentRules.workshopWords {
            #expect(!isClean("the \(word.uppercased())"))
            #expect(!DocumentRules.workshopTraces(path: "\(word).md", text: "").isEmpty)
        }
        #expect(isClean("/var/lib/auth-gateway, /tmp/x, assist, clause"))
    }
}
