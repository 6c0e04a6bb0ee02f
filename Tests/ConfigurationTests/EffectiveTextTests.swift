// What `check --dump` prints: means what the files mean, and gives no secret away.

import Configuration
import Testing

@Suite("The effective text")
struct EffectiveTextTests {
    private func text(_ files: MemoryFiles) -> String {
        ConfigurationLoader.effectiveText(path: "gateway.conf", files: files)
    }

    private func text(_ content: String, environment: [String: String] = [:]) -> String {
        text(MemoryFiles(["gateway.conf": content], environment: environment))
    }

    /// A configuration, but for where each of its parts stands.
    private func meaning(_ loaded: LoadedConfiguration) throws -> String {
        try String(describing: #require(loaded.configuration)).replacing(/place: [^,)]*/, with: "")
    }

    @Test("includes are in their places, variables replaced, comments gone, blocks indented")
    func form() {
        let files = MemoryFiles(
            [
                "gateway.conf": "workers 2; # two\nroute /a { upstream ${UP}; include r.conf; }\nlogs { }",
                "r.conf": "methods\n  GET \"HEAD\";",
            ], environment: ["UP": "api"])
        #expect(
            text(files) == """
                # gateway.conf
                workers 2;
                route /a {
                    upstream api;
                    # r.conf
                    methods GET HEAD;
                }
                # gateway.conf
                logs {
                }
                """)
    }

    @Test("the complete sample means the same, printed")
    func completeSampleAgain() throws {
        var files = completeFiles()
        let concealed = "    set_header Authorization \"Basic YTpi\";\n"
        #expect(text(files).contains("set_header Authorization ••••;"))
        files.files["conf.d/routes.conf"] = Array(
            completeSampleIncluded.replacing(concealed, with: "").utf8)
        let printed = text(files)
        #expect(!printed.contains("••••"))
        let again = MemoryFiles(["gateway.conf": printed], environment: completeEnvironment)
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: again)
        #expect(loaded.diagnostics.map(\.rendered) == [])
        let original = ConfigurationLoader.load(path: "gateway.conf", files: files)
        #expect(try meaning(loaded) == meaning(original))
        let isComment = { (line: Substring) in line.drop { $0 == " " }.first == "#" }
        #expect(
            text(again).split(separator: "\n").filter { !isComment($0) }
                == printed.split(separator: "\n").filter { !isComment($0) })
    }

    @Test(
        "what is valid among the golden configurations means the same, printed", arguments: GoldenTests.names)
    func golden(name: String) throws {
        let files = try GoldenTests.files(named: name)
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: files)
        let printed = text(files)
        if loaded.configuration == nil || printed.contains("••••") { return }
        var again = files
        again.files["gateway.conf"] = Array(printed.utf8)
        #expect(
            try meaning(loaded) == meaning(ConfigurationLoader.load(path: "gateway.conf", files: again)))
    }

    @Test(
        "any argument is read back as it was",
        arguments: [
            "", "#a", "a#", "a b", " ", "a;b", "{", "}", "\"", "a\"b", "\\", "\\n", "${A}", "$", "$a", "a\nb",
            "a\tb", "é", "\u{00A0}", "•", "\\\"${",
        ])
    func quoting(value: String) throws {
        let files = MemoryFiles(
            ["gateway.conf": minimal("route /x { upstream api; require claim role \"${V}\" x; }")],
            environment: ["V": value])
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: files)
        #expect(try meaning(load(text(files))) == meaning(loaded))
    }

    @Test("control characters from the environment do not reach a terminal")
    func controls() {
        for value in ["\u{1B}[2J", "\u{7F}", "\u{9B}2J", "\r"] {
            let printed = text("workers ${V};", environment: ["V": value])
            #expect(!printed.unicodeScalars.contains(value.unicodeScalars.first!))
            #expect(printed.contains("\u{FFFD}"))
        }
    }

    @Test(
        "no secret is shown, from wherever it comes",
        arguments: [
            "secret hunter2;", "secret \"hunter2\";", "secret HS256 hunter2;", "secret ${A};",
            "server http://u:hunter2@h;", "server ${URL};", "server http://${A_TOKEN}/;",
            "x \"${DB_PASSWORD}\";", "x ${API_KEY:-hunter2};", "set_header Authorization ${A};",
            "set_header X-Api-Key hunter2;",
            "expect GET / header X-Api-Key=hunter2 200;", "sessions postgresql \"host=db password=hunter2\";",
            "sessions postgresql ${A};", "set_header \"${FIELD}\" \"Basic hunter2\";",
            "set_header X-Up \"${A}\";", "set_header X-Basic-Auth hunter2;",
            "set_header X-Passphrase hunter2;",
            "jwks https://idp.example/keys?subscription-key=hunter2;",
        ])
    func secrets(statement: String) {
        let environment = [
            "A": "hunter2", "URL": "http://u:hunter2@h", "A_TOKEN": "hunter2", "DB_PASSWORD": "hunter2",
            "FIELD": "Authorization",
        ]
        let printed = text(statement, environment: environment)
        #expect(!printed.contains("hunter2"), "\(printed)")
        #expect(printed.contains("••••"))
    }

    @Test("where a secret is to be found, and what is none, is shown")
    func neighbours() {
        for statement in [
            "secret env:A;", "secret file:a.secret;", "secret HS256 env:A kid=a;", "x ${A};",
            "set_header X-Api-Version 1;", "jwks https://idp.example/keys?v=2;", "login_page /login?a=b;",
        ] {
            let printed = text(statement, environment: ["A": "b"])
            #expect(!printed.contains("••••"), "\(printed)")
        }
    }
}
