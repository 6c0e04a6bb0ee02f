// The vectors in `Fixtures`: each message is fed in every way, must come to the same outcome each time, and
// to the one that its file expects. A refused message names its nearest accepted neighbour, which is held to
// that.

import Foundation
import HTTP
import Primitives
import Support
import Testing

@Suite struct VectorTests {
    @Test(
        "each request vector is judged as its file says, however it is cut",
        arguments: try Self.vectors("requests"))
    func requests(_ vector: CaseFile) throws {
        let verdict = EverySplit.request(vector.message, limits: try limits(of: vector))
        judge(vector, verdict)
        if case .accepted(let head) = verdict.outcome { try compare(vector, head) }
    }

    @Test(
        "each response vector is judged as its file says, however it is cut",
        arguments: try Self.vectors("responses"))
    func responses(_ vector: CaseFile) throws {
        let verdict = EverySplit.response(
            vector.message, isHead: vector["method"] == "HEAD", limits: try limits(of: vector))
        judge(vector, verdict)
        if case .accepted(let head) = verdict.outcome { try compare(vector, head) }
    }

    @Test(
        "each chunked body is judged as its file says, however it is cut",
        arguments: try Self.vectors("bodies"))
    func bodies(_ vector: CaseFile) throws {
        let verdict = EverySplit.body(vector.message, framing: .chunked, limits: try limits(of: vector))
        judge(vector, verdict)
        if case .accepted(let body) = verdict.outcome {
            if let content = vector["content"] {
                #expect(body.content == (try CaseFile.bytes(of: content, in: vector.name)))
            }
            #expect(body.trailers == (try CaseFile.bytes(of: vector["trailers"] ?? "", in: vector.name)))
            #expect(body.rest == (try CaseFile.bytes(of: vector["rest"] ?? "", in: vector.name)))
        }
    }

    @Test(
        "each refused vector names its nearest accepted neighbour",
        arguments: ["requests", "responses", "bodies"])
    func neighbours(_ folder: String) throws {
        let vectors = try Self.vectors(folder)
        let accepted = Set(vectors.filter { $0.violation == nil }.map(\.name))
        for vector in vectors where vector.violation != nil {
            let neighbour = try #require(vector["neighbour"], "\(vector) has none")
            #expect(accepted.contains(neighbour), "\(vector) names \(neighbour)")
        }
    }

    @Test("every violation that a message can commit has a vector")
    func coverage() throws {
        let vectors = try ["requests", "responses", "bodies"].flatMap { try Self.vectors($0) }
        let covered = Set(vectors.compactMap(\.violation))
        // The one that no single message commits: an upstream's connection counts the heads.
        let expected = ProtocolViolation.allCases.filter { $0 != .interimFlood }.map(\.word)
        #expect(covered == Set(expected))
    }

    // MARK: - Judging

    private func judge<Message>(_ vector: CaseFile, _ verdict: SplitVerdict<Reading<Message>>) {
        #expect(verdict.disagreements == [], "\(vector) depends on where it is cut")
        switch (verdict.outcome, vector.violation) {
        case (.accepted, nil): break
        case (.refused(let violation), let word?): #expect(violation.word == word, "\(vector)")
        default: Issue.record("\(vector) is \(verdict.outcome), against \(vector["expect"] ?? "")")
        }
    }

    /// Compares a head with the header lines that describe it.
    private func compare(_ vector: CaseFile, _ head: ReadHead) throws {
        let found: [String: String] = [
            "framing": word(head.framing),
            "persistent": head.isPersistent ? "yes" : "no",
            "continue": head.expectsContinue ? "yes" : "no",
            "start": head.startLine.joined(separator: " "),
            "resource": head.resource.joined(separator: " "),
            "fields": String(head.fields.count),
            "rest": String(vector.message.count - head.count),
        ]
        for (name, value) in found {
            if let expected = vector[name] {
                #expect(value.trimmingCharacters(in: .whitespaces) == expected, "\(vector), \(name)")
            }
        }
    }

    private func word(_ framing: BodyFraming) -> String {
        switch framing {
        case .none: "none"
        case .length(let length): "length \(length)"
        case .chunked: "chunked"
        case .untilClose: "until close"
        }
    }

    /// `limits: head=200 fields=3` and so on; what is not named has its default.
    private func limits(of vector: CaseFile) throws -> MessageLimits {
        var limits = MessageLimits()
        for setting in (vector["limits"] ?? "").split(separator: " ") {
            let parts = setting.split(separator: "=")
            let value = try #require(parts.count == 2 ? Int(parts[1]) : nil)
            switch parts[0] {
            case "head": limits.headBytesMax = value
            case "fields": limits.fieldCountMax = value
            case "target": limits.targetBytesMax = value
            case "extension": limits.chunkExtensionBytesMax = value
            case "trailer": limits.trailerBytesMax = value
            default: Issue.record("\(vector) names an unknown limit: \(setting)")
            }
        }
        return limits
    }

    private static func vectors(_ folder: String) throws -> [CaseFile] {
        try CaseFile.all(
            in: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(folder)"))
    }
}
