// What anybody may know of the gateway: its public keys (RFC 7517), its metadata as an issuer (RFC 8414), and
// the script for browsers. Written once for each change, answered with validators: who asks again gets a 304.

import Configuration
import Crypto
import HTTP
import JOSE
import Network
import Primitives

/// A document that is published.
struct PublishedDocument: Sendable {
    let body: [UInt8]
    let contentType: String
    let cacheControl: String
    /// RFC 9110 §8.8.3: a strong validator, quotes included.
    let entityTag: String

    init(_ body: [UInt8], contentType: String, cacheControl: String) {
        self.body = body
        self.contentType = contentType
        self.cacheControl = cacheControl
        let digest = SHA256Hasher().digest(body.span).bytes
        entityTag = "\"\(Base64URL.text(digest.span.extracting(0..<16)))\""
    }
}

/// The keys that the gateway signs and verifies with, in the forms that requests need.
struct PublishedKeys: Sendable {
    let set: KeySet
    /// How a token that we have issued begins: one for each key.
    let tokenHeads: [[UInt8]]
    let document: PublishedDocument

    init(_ set: KeySet) {
        self.set = set
        tokenHeads = set.keys.compactMap { key in
            key.kid.map { TokenSigner.head(algorithm: key.algorithm, kid: $0) }
        }
        // A next key is published two minutes before it signs. Other gateways look for it each 10 s; with
        // a minute in caches behind that, everybody has it in good time, also where a cache has added its
        // delay.
        document = PublishedDocument(
            set.jwksText, contentType: "application/jwk-set+json", cacheControl: "public, max-age=60")
    }
}

/// The metadata of the issuer.
struct IssuerMetadata: Sendable {
    let document: PublishedDocument

    /// - Parameter refreshPath: without a final slash.
    init(_ configuration: GatewayConfiguration, refreshPath: [UInt8]) {
        let origin = configuration.publicURL.origin
        let refreshURL = origin + String(decoding: refreshPath, as: UTF8.self)
        var writer = JSONWriter(reserving: 512)
        writer.beginObject()
        writer.string("issuer", configuration.accessToken.issuer)
        writer.string("token_endpoint", refreshURL)
        writer.string("revocation_endpoint", refreshURL + "/revoke")
        writer.string("jwks_uri", origin + Publication.keySetPath.description)
        Self.write(["refresh_token"], as: "grant_types_supported", to: &writer)
        Self.write(["none"], as: "token_endpoint_auth_methods_supported", to: &writer)
        Self.write(["none"], as: "revocation_endpoint_auth_methods_supported", to: &writer)
        // RFC 8414 §2 requires the member, §3.2 has empty arrays left out: clients miss it more than they
        // mind that it is empty. There is no authorization endpoint, and so no response type.
        Self.write([], as: "response_types_supported", to: &writer)
        writer.endObject()
        document = PublishedDocument(
            writer.bytes, contentType: "application/json", cacheControl: "public, max-age=300")
    }

    /// Where it stands. RFC 8414 §3.1: the well-known part is put between the host and the path of the
    /// issuer.
    static func paths(ofIssuer issuer: String) -> [[UInt8]] {
        let path = path(ofIssuer: issuer)
        let plain = Publication.metadataPath
        return (path.isEmpty ? [plain] : [plain, plain + path]).map { Array($0.utf8) }
    }

    private static func write(_ values: [String], as name: String, to writer: inout JSONWriter) {
        writer.beginArray(name)
        for value in values { writer.string(nil, value) }
        writer.endArray()
    }

    /// The path of an issuer without its final slash; empty where it has none.
    static func path(ofIssuer issuer: String) -> String {
        let parts = issuer.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count > 3, parts[1].isEmpty else { return "" }
        let path = "/" + parts[3...].joined(separator: "/")
        return path.hasSuffix("/") ? String(path.dropLast()) : path
    }
}

/// Answers requests for what is published.
enum Publication {
    static let keySetPath: StaticString = "/.well-known/jwks.json"
    static let metadataPath = "/.well-known/oauth-authorization-server"
    /// Below the refresh path: where it was loaded from tells the script where to refresh.
    static let clientPath = "/client.js"

    /// The drop-in `fetch` for browsers: a file of its own, made a part of the program.
    static let client = PublishedDocument(
        PackageResources.client_js, contentType: "text/javascript; charset=utf-8",
        cacheControl: "public, max-age=300")

    /// The document at a path.
    static func document(at path: Span<UInt8>, _ runtime: GatewayRuntime) -> PublishedDocument? {
        if isKeySet(path) { return runtime.publishedKeys.document }
        return runtime.policy.isMetadata(path) ? runtime.metadata.document : nil
    }

    static func isKeySet(_ path: Span<UInt8>) -> Bool { path.equals(keySetPath) }

    static func answer(_ connection: DownstreamConnection, _ document: PublishedDocument) {
        if !Endpoint.allows([.get, .head], "GET, HEAD", connection) { return }
        var response = LocalResponse.json(200, document.body)
        response.contentType = document.contentType
        if isKnown(document, to: connection.head) { response = .empty(304) }
        // RFC 9110 §15.4.5: a 304 carries those of the fields that a 200 would have had.
        response.fields.append(("Cache-Control", document.cacheControl))
        response.fields.append(("ETag", document.entityTag))
        response.fields.append(("X-Content-Type-Options", "nosniff"))
        connection.respond(response)
    }

    /// RFC 9110 §13.1.2: `If-None-Match` names entity tags, which are compared weakly, or is `*`.
    private static func isKnown(_ document: PublishedDocument, to head: borrowing RequestHead) -> Bool {
        head.block.withBytes { bytes in
            head.block.fields.contains { field in
                guard field.known == .other,
                    bytes.extracting(field.name.offsets).equalsIgnoringCase("if-none-match")
                else { return false }
                let value = String(lossy: bytes.extracting(field.value.offsets))
                return value == "*" || matches(document.entityTag, in: value)
            }
        }
    }

    /// Whether a list of entity tags holds one; ours have neither a comma nor a blank.
    static func matches(_ entityTag: String, in list: String) -> Bool {
        list.split { $0 == "," || $0 == " " || $0 == "\t" }.contains { element in
            element == entityTag || element == "W/" + entityTag
        }
    }
}
