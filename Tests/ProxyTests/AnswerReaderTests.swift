// Answers to the gateway's own requests: of every framing, cut at every byte, too large, too short, and the
// one field that counts.

import HTTP
import Primitives
import Support
import Testing

@testable import Proxy

@Suite("Answer reader")
struct AnswerReaderTests {
    /// What came of an answer, once the connection has ended.
    private enum Outcome: Equatable, Sendable {
        case answered(Int, String)
        case fault(String)
        case cutOff
    }

    private func outcome(_ pieces: [ArraySlice<UInt8>], _ part: FetchedPart) -> Outcome {
        var reader = AnswerReader(part)
        var input = ByteBuffer()
        do throws(AnswerFault) {
            for piece in pieces {
                input.append(Array(piece))
                if let answer = try reader.take(&input) {
                    return .answered(answer.status, String(decoding: answer.body, as: UTF8.self))
                }
            }
        } catch {
            return .fault(error.reason)
        }
        guard let answer = reader.connectionEnded() else { return .cutOff }
        return .answered(answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    private func expect(
        _ text: String, _ expected: Outcome, part: FetchedPart = .whole(bytesMax: 100),
        _ location: SourceLocation = #_sourceLocation
    ) {
        let verdict = EverySplit.verdict(of: Array(text.utf8)) { outcome($0, part) }
        #expect(verdict.disagreements == [], sourceLocation: location)
        #expect(verdict.outcome == expected, sourceLocation: location)
    }

    @Test("a body of each framing is taken whole, wherever it is cut")
    func framings() {
        expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", .answered(200, "hello"))
        expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", .answered(200, "hello"))
        expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .answered(200, ""))
        expect(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n",
            .answered(200, "hello"))
        expect("HTTP/1.0 200 OK\r\n\r\nhello\r\n", .answered(200, "hello\r\n"))
        expect("HTTP/1.1 204 No Content\r\n\r\n", .answered(204, ""))
        expect("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", .answered(404, "no"))
    }

    @Test("of a head alone the rest is not waited for")
    func headOnly() {
        expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", .answered(200, ""), part: .head)
        expect(
            "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", .answered(503, ""), part: .head)
        expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", .cutOff, part: .head)
    }

    @Test("an answer that ends early is none, at whatever byte")
    func truncated() {
        for whole in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ] {
            let bytes = Array(whole.utf8)
            for count in bytes.indices {
                #expect(outcome([bytes[..<count]], .whole(bytesMax: 100)) == .cutOff, "\(count) of \(whole)")
            }
        }
    }

    @Test("a body of the allowed size is taken, and one byte more is too much, in every framing")
    func oversized() {
        let heads = ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"]
        for head in heads {
            expect(head + "123456789", .answered(200, "123456789"), part: .whole(bytesMax: 9))
            expect(
                head + "123456789", .fault("an answer of more than 8 bytes"), part: .whole(bytesMax: 8))
        }
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n"
        expect(chunked, .answered(200, "123456789"), part: .whole(bytesMax: 9))
        expect(chunked, .fault("an answer of more than 8 bytes"), part: .whole(bytesMax: 8))
    }

    @Test("interim heads are passed over, sixteen of them and no more; 101 was not asked for")
    func interim() {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        let final = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        expect(interim + final, .answered(200, "ok"))
        expect(String(repeating: interim, count: 16) + final, .answered(200, "ok"))
        expect(String(repeating: interim, count: 17) + final, .fault("interim_flood"))
        expect(interim, .cutOff)
        expect("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", .fault("unsolicited_upgrade"))
    }

    @Test(
        "what is malformed is refused, wherever it is cut",
        arguments: [
            ("HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", "bare_lf"),
            ("220 mail.example ESMTP\r\n\r\n", "version"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
                "content_length_repeated"
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
                "length_and_coding"
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "chunk_size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer_coding"),
        ])
    func malformed(_ text: String, _ word: String) { expect(text, .fault(word)) }

    @Test("a head without end is refused, dripped or not")
    func endlessHead() {
        let head = Array("HTTP/1.1 200 OK\r\nA: ".utf8) + [UInt8](repeating: 0x78, count: 40_000)
        #expect(outcome([head[...]], .head) == .fault("head_too_large"))
        #expect(outcome(head.indices.map { head[$0...$0] }, .head) == .fault("head_too_large"))
    }
}

@Suite("Cache-Control")
struct CacheControlTests {
    private func seconds(_ fields: String) throws -> Int64? {
        var reader = AnswerReader(.head)
        var input = ByteBuffer()
        input.append(Array("HTTP/1.1 200 OK\r\n\(fields)\r\n".utf8))
        let answer = try reader.take(&input)
        return try #require(answer).maxAgeSeconds
    }

    @Test(
        "max-age is read, whatever else is said and however it is spelled",
        arguments: [
            ("Cache-Control: max-age=600", 600), ("cache-control: public, MAX-AGE=60, must-revalidate", 60),
            ("Cache-Control: max-age=\"7\"", 7), ("Cache-Control: max-age = 7", 7),
            ("Cache-Control: max-age=0", 0),
            ("Cache-Control: no-store", 0), ("Cache-Control: no-cache, max-age=600", 0),
            ("Cache-Control: max-age=600, no-store", 0), ("Cache-Control: max-age=9223372036854775807", .max),
            ("Cache-Control: public\r\nCache-Control: max-age=5", 5), ("Cache-Control: max-age=-5", 0),
        ] as [(String, Int64)])
    func read(_ fields: String, _ expected: Int64) throws {
        #expect(try seconds(fields + "\r\n") == expected)
    }

    @Test(
        "where nothing that can be understood is said, nothing is known",
        arguments: [
            "", "Cache-Control: public\r\n", "Cache-Control: max-age\r\n", "Cache-Control: max-age=\r\n",
            "Cache-Control: max-age=soon\r\n", "Cache-Control: s-maxage=600\r\n", "Cache-Control: ,,\r\n",
            "Cache-Control: max-age=9223372036854775808\r\n", "Expires: 0\r\n",
            "X-Cache-Control: max-age=1\r\n",
        ])
    func unknown(_ fields: String) throws { #expect(try seconds(fields) == nil) }
}
