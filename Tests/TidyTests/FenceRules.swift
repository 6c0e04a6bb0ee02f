// The fences: what may stand in few places only, because it is where safety is proved by people and not by
// the compiler. The compiler refuses an unsafe expression without its mark; these rules refuse the mark.

/// What may stand where.
enum FenceRules {
    static let all = [unsafety, unchecked, foundation, dispatch, synchronization, locks]

    /// Each hides a pointer, the kernel or a C library, and gives nothing of it away.
    private static let unsafePlaces = [
        "Sources/Primitives/ByteBuffer.swift", "Sources/Network/Syscalls.swift",
        "Sources/Network/SyscallsAddresses.swift", "Sources/Network/SyscallsProcess.swift",
        "Sources/Network/SyscallsLogs.swift", "Sources/Network/Poller.swift", "Sources/Crypto/",
        "Sources/SQLite/", "Sources/TLS/",
    ]

    private static let unsafeWords: Set = [
        "unsafe", "OpaquePointer", "Unmanaged", "UnsafePointer", "unchecked", "safe",
    ]

    /// Targets that wait for events or own a queue.
    private static let dispatchTargets: Set = [
        "Network", "Sessions", "Observability", "Proxy", "auth-gateway", "demo-api",
    ]

    /// The files with state that several queues share. A new one is a decision, not an import.
    private static let sharingFiles: Set = [
        "Sources/Network/Mailbox.swift", "Sources/Observability/LogSink.swift",
        "Sources/Proxy/Gate/RateLimiter.swift", "Sources/Proxy/Shard/ConnectionCensus.swift",
        "Sources/Proxy/Upstream/UpstreamServer.swift", "Sources/Proxy/Upstream/ServerDirectory.swift",
        "Sources/Proxy/Issuers/IssuerTarget.swift", "Sources/Observability/Metrics.swift",
        "Sources/Proxy/Shard/ShardMetrics.swift", "Sources/Proxy/Outbound/ControlRequest.swift",
        "Sources/Proxy/Status/GatewayStatus.swift",
        "Sources/Sessions/RefreshService.swift", "Sources/Sessions/RevocationFeed.swift",
    ]

    static let unsafety = Rule(
        name: "unsafe code stands in the listed files only",
        refused: [
            .init("let first = unsafe pointer.pointee\n"),
            .init("bytes.withUnsafeBytes { read($0) }\n"),
            .init("func read(_ bytes: UnsafeRawBufferPointer) {}\n"),
            .init("let byte = span[unchecked: 3]\n"),
            .init("@safe struct Sample {}\n"),
            .init("Sources/Network/Socket.swift", "let handle: OpaquePointer\n"),
            .init("Tests/HTTPTests/SampleTests.swift", "let text = \"\\(unsafe pointer.pointee)\"\n"),
        ],
        accepted: [
            .init("Sources/Crypto/Digest.swift", "let first = unsafe pointer.pointee\n"),
            .init("Sources/Primitives/ByteBuffer.swift", "unsafe base.deallocate()\n"),
            .init("// An unsafe method has an effect.\nlet isSafe = method.isSafe // unsafe\n"),
            .init("let label = \"unsafe\"\ncase .safe: retry()\n"),
        ]
    ) { file in
        if unsafePlaces.contains(where: { file.path.hasPrefix($0) }) { return [] }
        return file.words.filter(isUnsafe).map {
            file.violation($0.line, "'\($0.text)' stands outside of the files for unsafe code")
        }
    }

    static let unchecked = Rule(
        name: "what shares state proves it to the compiler",
        refused: [
            .init("final class Sample: @unchecked Sendable {}\n"),
            .init("Sources/Crypto/Digest.swift", "final class Sample: @unchecked Sendable {}\n"),
            .init("nonisolated(unsafe) var count = 0\n"),
            .init("Tests/HTTPTests/SampleTests.swift", "nonisolated(unsafe) var count = 0\n"),
        ],
        accepted: [
            .init("// Not @unchecked, and not nonisolated(unsafe).\nfinal class Sample: Sendable {}\n"),
            .init("nonisolated func count() {}\n"),
        ]
    ) { file in
        zip(file.words, file.words.dropFirst()).compactMap { word, next in
            if next.text == "unchecked", next.before == UInt8(ascii: "@") {
                return file.violation(next.line, "'@unchecked' stands nowhere")
            }
            if word.text == "nonisolated", next.text == "unsafe", word.after == UInt8(ascii: "(") {
                return file.violation(next.line, "'nonisolated(unsafe)' stands nowhere")
            }
            return nil
        }
    }

    static let foundation = Rule(
        name: "only tests import Foundation",
        refused: [
            .init("import Foundation\n"),
            .init("internal import struct Foundation.URL\n"),
            .init("import FoundationEssentials\n"),
        ],
        accepted: [
            .init("Tests/HTTPTests/SampleTests.swift", "import Foundation\n"),
            .init("Sources/auth-gateway/main.swift", "import Foundation\n"),
            .init("// import Foundation\n"),
        ]
    ) { file in
        if !file.isInSources || file.target == "auth-gateway" { return [] }
        return file.imports.filter { $0.module.hasPrefix("Foundation") }.map {
            file.violation($0.line, "only tests import Foundation")
        }
    }

    static let dispatch = Rule(
        name: "Dispatch is imported where events are waited for or a queue is owned",
        refused: [.init("Sources/JOSE/Sample.swift", "import Dispatch\n")],
        accepted: [
            .init("Sources/Sessions/Sample.swift", "import Dispatch\n"),
            .init("Tests/JOSETests/SampleTests.swift", "import Dispatch\n"),
        ]
    ) { file in
        if !file.isInSources || dispatchTargets.contains(file.target ?? "") { return [] }
        return file.imports.filter { $0.module == "Dispatch" }.map {
            file.violation($0.line, "'\(file.target ?? "")' neither waits for events nor owns a queue")
        }
    }

    static let synchronization = Rule(
        name: "locks and atomics stand in the listed files only",
        refused: [.init("Sources/Proxy/Sample.swift", "import Synchronization\n")],
        accepted: [
            .init("Sources/Network/Mailbox.swift", "// A locked list.\n\nimport Synchronization\n"),
            .init("Tests/SessionsTests/Sample.swift", "import Synchronization\n"),
        ]
    ) { file in
        if !file.isInSources || sharingFiles.contains(file.path) { return [] }
        return file.imports.filter { $0.module == "Synchronization" }.map {
            file.violation($0.line, "state that queues share stands in the files that the rule lists")
        }
    }

    static let locks = Rule(
        name: "a file with shared state says whose it is, or that it has a lock",
        refused: [
            .init("// Counts what is shared by blocks.\n\nimport Synchronization\n\nfinal class Sample {}\n"),
            .init("// Counts things.\n\nimport Synchronization\n\nfinal class Sample {\n    // lock\n}\n"),
        ],
        accepted: [
            .init("// Owned by: the log queue.\n\nimport Synchronization\n\nfinal class Sample {}\n"),
            .init("// Counts.\n\nimport Synchronization\n\n/// Has a lock.\nfinal class Sample {}\n"),
            .init("// Counts things.\n\nfinal class Sample {}\n"),
        ]
    ) { file in
        guard file.isInSources, let line = file.imports.first(where: { $0.module == "Synchronization" })?.line
        else { return [] }
        let opening = Word.all(in: Array(file.openingComments.utf8)).map(\.text)
        let words: Set = ["lock", "locks", "locked", "atomic", "atomics"]
        if !words.isDisjoint(with: opening) || file.openingComments.contains("Owned by:") { return [] }
        return [file.violation(line, "the opening comment names neither a lock nor an owner")]
    }

    private static func isUnsafe(_ word: Word) -> Bool {
        switch word.text {
        // As attributes and labels; a case or a name may be called so.
        case "safe": word.before == UInt8(ascii: "@")
        case "unchecked": word.after == UInt8(ascii: ":")
        default:
            unsafeWords.contains(word.text) || word.text.hasPrefix("withUnsafe")
                || word.text.hasPrefix("Unsafe") && word.text.hasSuffix("Pointer")
                || word.text.hasPrefix("unsafeBitCast") || word.text.hasPrefix("unsafeDowncast")
        }
    }
}
