// Published vectors: Wycheproof's signatures and key sets, and the JOSE cookbook (RFC 7520, RFC 8037). They
// are read from a folder beside the repository; where it is missing, each test says that it skipped.

import Foundation
import JOSE
import Primitives
import Testing

@Suite struct VectorTests {
    /// Vectors called valid that are refused here, and those called invalid that are accepted, each with its
    /// reason.
    private static let signatureExceptions: [Int64: String] = [
        259: emptyPayload, 264: emptyPayload, 268: emptyPayload, 272: emptyPayload, 320: emptyPayload,
        325: emptyPayload, 346: otherAlgorithm, 350: otherAlgorithm, 347: noAlgorithm, 351: noAlgorithm,
        372: illegalCharacter, 373: illegalCharacter,
        367: sameAsValid, 370: sameAsValid,
    ]
    private static let keySetExceptions: [Int64: String] = [
        4:
            "The second key of the doubled name is no canonical base64url, and is left out.",
        1: "Secrets and public keys in one set: harmless, since each key has its one algorithm.",
        7:
            "A modulus with the ROCA weakness: a fault of its owner, which a verifier does not look for.",
    ]
    private static let emptyPayload = "An empty part: no token of ours is without claims."
    private static let otherAlgorithm =
        "The key says PS256 and the token PS384: the key's word counts (RFC 8725 §3.1)."
    private static let noAlgorithm = "The key says ES521, which is no algorithm."
    private static let sameAsValid = "Byte for byte the token of vector 357, which is called valid."
    private static let illegalCharacter = "A character outside of base64url (RFC 7515 §2)."

    @Test("Wycheproof: each signature is judged as published, but for the exceptions named above")
    func signatures() throws {
        guard let document = try vectors("wycheproof/json_web_signature_test.json") else { return }
        let count = judge(document, exceptions: Self.signatureExceptions) { group in
            guard let jwk = group["public"] ?? group["private"] else { return [] }
            return [jwk]
        }
        #expect(count == 401)
    }

    @Test("Wycheproof: each key set is judged as published, but for the exceptions named above")
    func keySets() throws {
        guard let document = try vectors("wycheproof/json_web_key_test.json") else { return }
        let count = judge(document, exceptions: Self.keySetExceptions) { group in
            let set = group["public"] ?? group["private"]
            return set?["keys"]?.elements ?? []
        }
        #expect(count == 26)
    }

    @Test(
        "the cookbook's signatures verify, and not with another byte",
        arguments: [
            "jws/4_1.rsa_v15_signature", "jws/4_2.rsa-pss_signature", "jws/4_3.ecdsa_signature",
            "jws/4_4.hmac-sha2_integrity_protection", "curve25519-jws",
        ])
    func cookbook(_ name: String) throws {
        guard let root = try vectors("jose-cookbook/\(name).json") else { return }
        let input = try #require(root["input"])
        let algorithm = SignatureAlgorithm(name: try #require(input["alg"]?.string))
        let key = try JSONWebKey(jwk: publicPart(of: #require(input["key"])), assumedAlgorithm: algorithm)
        let verifier = try JWSVerifier(keys: KeySet(keys: [key]))
        let token = Array(try #require(root["output"]?["compact"]?.string).utf8)
        let payload = try verifier.payload(of: token.span, types: nil, bytesMax: 8192)
        #expect(String(decoding: payload, as: UTF8.self) == input["payload"]?.string)
        for index in stride(from: 0, to: token.count, by: 17) {
            var changed = token
            changed[index] ^= 4
            #expect(!isAccepted(changed, verifier))
        }
    }

    @Test("the cookbook's detached content is refused: a token carries its claims")
    func detached() throws {
        guard let root = try vectors("jose-cookbook/jws/4_5.signature_with_detached_content.json") else {
            return
        }
        let key = try JSONWebKey(jwk: #require(root["input"]?["key"]))
        let verifier = try JWSVerifier(keys: KeySet(keys: [key]))
        let token = Array(try #require(root["output"]?["compact"]?.string).utf8)
        #expect(!isAccepted(token, verifier))
    }

    @Test("the cookbook's private keys are refused as keys of a verifier")
    func privateKeys() throws {
        for name in ["3_2.ec_private_key", "3_4.rsa_private_key"] {
            guard let jwk = try vectors("jose-cookbook/jwk/\(name).json") else { return }
            #expect(throws: JOSEError.privateKeyExposed) { try JSONWebKey(jwk: jwk) }
            #expect(throws: Never.self) { try JSONWebKey(jwk: publicPart(of: jwk)) }
        }
    }

    @Test(
        "the cookbook's JSON serialisations are refused, and verify where they can be written as tokens",
        arguments: [
            ("jws/4_6.protecting_specific_header_fields", true), ("jws/4_7.protecting_content_only", false),
            ("jws/4_8.multiple_signatures", true),
        ])
    func serialisations(_ name: String, _ hasToken: Bool) throws {
        guard let root = try vectors("jose-cookbook/\(name).json") else { return }
        let (input, output) = (try #require(root["input"]), try #require(root["output"]))
        let named = input["key"].map { $0.kind == .array ? $0.elements : [$0] } ?? []
        let algorithms = input["alg"].map { $0.kind == .array ? $0.elements : [$0] } ?? []
        for (jwk, algorithm) in zip(named, algorithms) {
            let key = try JSONWebKey(
                jwk: publicPart(of: jwk), assumedAlgorithm: SignatureAlgorithm(name: algorithm.string ?? ""))
            let verifier = try JWSVerifier(keys: KeySet(keys: [key]))
            for text in [output["json"], output["json_flat"]].compactMap(\.?.text) {
                #expect(!isAccepted(Array(text), verifier))
            }
        }
        let key = try JSONWebKey(
            jwk: publicPart(of: #require(named.first)),
            assumedAlgorithm: SignatureAlgorithm(name: algorithms.first?.string ?? ""))
        let verifier = try JWSVerifier(keys: KeySet(keys: [key]))
        let part = try #require(output["json"]?["signatures"]?.elements.first)
        let parts = [part["protected"], output["json"]?["payload"], part["signature"]]
        let token = parts.map { $0?.string ?? "" }.joined(separator: ".")
        #expect(isAccepted(Array(token.utf8), verifier) == hasToken)
    }

    @Test("the cookbook's public keys are read, and written as they were; its secrets are never published")
    func publicKeys() throws {
        for (name, algorithm) in [
            ("3_1.ec_public_key", nil), ("3_3.rsa_public_key", SignatureAlgorithm.ps256),
        ] {
            guard let jwk = try vectors("jose-cookbook/jwk/\(name).json") else { return }
            let set = try KeySet(keys: [JSONWebKey(jwk: jwk, assumedAlgorithm: algorithm)])
            let written = try #require(
                try JSONDocument(parsing: set.jwksText).root["keys"]?.elements.first)
            for (member, value) in jwk.members {
                #expect(written[member]?.string == value.string, "\(member)")
            }
        }
        guard let mac = try vectors("jose-cookbook/jwk/3_5.symmetric_key_mac_computation.json"),
            let cipher = try vectors("jose-cookbook/jwk/3_6.symmetric_key_encryption.json")
        else { return }
        #expect(try KeySet(keys: [JSONWebKey(jwk: mac)]).jwksText == Array(#"{"keys":[]}"#.utf8))
        #expect(throws: JOSEError.unsupportedKey) { try JSONWebKey(jwk: cipher) }
    }

    // MARK: - Judging

    /// Judges every vector of a document, and says how many there were.
    private func judge(
        _ document: JSONValue, exceptions: [Int64: String], keys: (JSONValue) -> [JSONValue]
    ) -> Int {
        var count = 0
        for group in document["testGroups"]?.elements ?? [] {
            let set = keySet(keys(group))
            let verifier = set.flatMap { try? JWSVerifier(keys: $0) }
            for test in group["tests"]?.elements ?? [] {
                count += 1
                let number = test["tcId"]?.integer ?? 0
                // A token in JSON serialisation stands as an object in the file.
                let token = test["jws"].map { $0.string.map { Array($0.utf8) } ?? Array($0.raw) } ?? []
                let isGood = verifier.map { isAccepted(token, $0) } ?? false
                let isAsPublished = isGood == (test["result"]?.string == "valid")
                let comment = test["comment"]?.string ?? ""
                #expect(isAsPublished == (exceptions[number] == nil), "vector \(number), \(comment)")
            }
        }
        return count
    }

    /// The set of the usable keys, as configuration would read it; nil when there is none or their names
    /// collide.
    private func keySet(_ keys: [JSONValue]) -> KeySet? {
        let usable = keys.compactMap { try? JSONWebKey(jwk: publicPart(of: $0)) }
        return usable.isEmpty ? nil : try? KeySet(keys: usable)
    }

    private func isAccepted(_ token: [UInt8], _ verifier: JWSVerifier) -> Bool {
        (try? verifier.payload(of: token.span, types: nil, bytesMax: 8192)) != nil
    }

    /// The key without the members that only its owner may know; the vectors give pairs.
    private func publicPart(of jwk: JSONValue) throws -> JSONValue {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, value) in jwk.members where !["d", "p", "q", "dp", "dq", "qi"].contains(name) {
            writer.json(name, value.text)
        }
        writer.endObject()
        return try JSONDocument(parsing: writer.bytes).root
    }

    /// A file of the vectors; nil, and a line that says so, where they are not there.
    private func vectors(_ path: String) throws -> JSONValue? {
        let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = repository.deletingLastPathComponent().appending(path: "shared/vectors/\(path)")
        guard let data = try? Data(contentsOf: file) else {
            print("skipped: \(path) is not beside the repository")
            return nil
        }
        return try JSONDocument(parsing: Array(data), nodesMax: 100_000).root
    }
}
