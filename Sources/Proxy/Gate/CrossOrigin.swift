// Who may call from a page of another origin (the CORS protocol of the Fetch standard): preflights are
// answered here and never ask for a token, responses get the fields that let a page read them, and the same
// list says whose unsafe requests may come with a cookie.
//
// What is allowed is the configuration's word alone. Where a route has a `cors` block, whatever its upstream
// says under these names is removed: of two answers a browser takes neither, or the wider one.

import Configuration
import HTTP
import Primitives

/// What a preflight is answered with.
struct PreflightAnswer: Equatable {
    /// 204, or 403: then the browser finds no permission, and reports an error to the page.
    let status: Int
    /// Whole lines, for behind the other fields of the head.
    let fields: [UInt8]
}

/// A `cors` block, ready to be applied. Immutable: every shard uses the same one.
struct CrossOrigin: Sendable {
    private struct Origin: Sendable {
        let bytes: [UInt8]
        /// The lines that allow it.
        let lines: [UInt8]
    }

    /// nil: any origin.
    private let origins: [Origin]?
    private let allowsCredentials: Bool
    /// The lines that allow any origin.
    private let publicLines: [UInt8]
    private let exposeLine: [UInt8]
    /// What every preflight is told, besides the origin and the fields that it asks for.
    private let preflightLines: [UInt8]
    /// Whether a preflight is allowed the very fields that it asks for.
    private let echoesRequestFields: Bool

    /// - Parameter routeMethods: what the route takes; a preflight says so where the block names no methods.
    init(_ configuration: CORSConfiguration, routeMethods: [String] = []) {
        // Fetch, "CORS protocol and credentials": never both `*` and credentials; a browser would refuse it.
        allowsCredentials = configuration.allowsCredentials && !configuration.origins.isEmpty
        let credentials =
            allowsCredentials ? Self.line("Access-Control-Allow-Credentials", ["true"]) : []
        publicLines = Self.line("Access-Control-Allow-Origin", ["*"])
        exposeLine = Self.line("Access-Control-Expose-Headers", configuration.exposedFields)
        origins =
            configuration.origins.isEmpty
            ? nil
            : configuration.origins.map { origin in
                let lines = Self.line("Access-Control-Allow-Origin", [origin]) + credentials
                return Origin(bytes: Array(origin.utf8), lines: lines)
            }
        var methods = configuration.methods.isEmpty ? routeMethods : configuration.methods
        if methods.isEmpty { methods = Self.commonMethods }
        let seconds = max(configuration.maxAgeMilliseconds, 0) / 1000
        preflightLines =
            Self.line("Access-Control-Allow-Methods", methods)
            + Self.line("Access-Control-Allow-Headers", configuration.requestFields)
            + Self.line("Access-Control-Max-Age", [String(seconds)])
        echoesRequestFields = configuration.requestFields.isEmpty
    }

    // MARK: - Preflights

    /// The answer to a preflight; nil where the request is none. Fetch, "HTTP requests": "A CORS-preflight
    /// request ... uses `OPTIONS` as method and includes" `Access-Control-Request-Method`.
    func preflightAnswer(to head: borrowing RequestHead) -> PreflightAnswer? {
        guard head.method == .options, head.block.count(of: .origin) > 0,
            head.block.count(of: .accessControlRequestMethod) > 0
        else { return nil }
        guard let lines = allowingLines(for: head), Self.namesMethod(head) else { return Self.refusal }
        var fields = lines + preflightLines
        if echoesRequestFields {
            guard let names = Self.requestFields(of: head) else { return Self.refusal }
            if !names.isEmpty {
                fields += Array("Access-Control-Allow-Headers: ".utf8) + names + [0x0D, 0x0A]
            }
        }
        if origins != nil && Self.asksForPrivateNetwork(head) { fields += Self.privateNetworkLine }
        return PreflightAnswer(status: 204, fields: fields + Self.preflightVary)
    }

    private static let refusal = PreflightAnswer(status: 403, fields: preflightVary)

    /// One method, which is a token.
    private static func namesMethod(_ head: borrowing RequestHead) -> Bool {
        guard let value = onlyValue(.accessControlRequestMethod, head.block), !value.isEmpty else {
            return false
        }
        return head.block.withBytes { bytes in
            for index in value.offsets where !ASCII.token.contains(bytes[index]) { return false }
            return true
        }
    }

    /// The names that a preflight asks for, with a comma and a blank between; nil where one is no token, or
    /// they are more than a page has use for.
    private static func requestFields(of head: borrowing RequestHead) -> [UInt8]? {
        if head.block.count(of: .accessControlRequestHeaders) == 0 { return [] }
        return head.block.withBytes { bytes in
            var names: [UInt8] = []
            for field in head.block.fields where field.known == .accessControlRequestHeaders {
                var index = field.value.start
                while index < field.value.end {
                    while index < field.value.end, isSeparator(bytes[index]) { index += 1 }
                    let start = index
                    while index < field.value.end, ASCII.token.contains(bytes[index]) { index += 1 }
                    if index < field.value.end, !isSeparator(bytes[index]) { return nil }
                    if index == start { continue }
                    if names.count + index - start + 2 > requestFieldsBytesMax { return nil }
                    if !names.isEmpty { names += [UInt8(ascii: ","), 0x20] }
                    for position in start..<index { names.append(bytes[position]) }
                }
            }
            return names
        }
    }

    private static func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ",") || byte == 0x20 || byte == 0x09
    }

    /// The draft "Private Network Access": whether a page of the open internet asks to reach into a private
    /// network. A listed origin may; what is open to any origin is not opened to that.
    private static func asksForPrivateNetwork(_ head: borrowing RequestHead) -> Bool {
        head.block.withBytes { bytes in
            head.block.fields.contains { field in
                field.known == .other
                    && bytes.extracting(field.name.offsets)
                        .equalsIgnoringCase("access-control-request-private-network")
                    && bytes.extracting(field.value.offsets).equals("true")
            }
        }
    }

    // MARK: - Responses

    /// Removes what an upstream says under these names. Its `Vary` stays.
    static func removeFields(of block: inout HeaderBlock) {
        block.removeAliases(responseFields)
        block.removeFolded(allowPrivateNetwork)
    }

    /// Writes the lines that a response to this request gets, those that the gateway makes itself among them:
    /// a page that may not read a 401 cannot tell it from a broken network.
    func writeFields(for head: borrowing RequestHead, to output: inout ByteBuffer) {
        if let lines = allowingLines(for: head) {
            output.append(lines)
            output.append(exposeLine)
        }
        // Fetch, "CORS protocol and HTTP caches": the response differs by origin, also for a request that has
        // none. Where any origin may read it, it does not differ.
        if origins != nil { output.append("Vary: Origin\r\n") }
    }

    /// Whether a page of the request's origin may have it change something on the word of a cookie: only an
    /// origin that the configuration names, and only with credentials.
    func allowsStateChange(_ head: borrowing RequestHead) -> Bool {
        guard allowsCredentials else { return false }
        return listed(head) != nil
    }

    /// nil: this origin is not allowed.
    private func allowingLines(for head: borrowing RequestHead) -> [UInt8]? {
        if origins != nil { return listed(head)?.lines }
        return head.block.count(of: .origin) > 1 ? nil : publicLines
    }

    /// The entry of the request's origin, compared byte by byte: browsers write origins in one way (RFC 6454
    /// §6.2), and `null` is nobody's.
    private func listed(_ head: borrowing RequestHead) -> Origin? {
        guard let origins, let value = Self.onlyValue(.origin, head.block) else { return nil }
        return head.block.withBytes { bytes in
            let sent = bytes.extracting(value.offsets)
            for origin in origins where sent.equals(origin.bytes.span) { return origin }
            return nil
        }
    }

    /// The value of the one line of that name, also when it is not forwarded; nil where there is none, or
    /// several: then it is not known what a browser has said.
    private static func onlyValue(_ name: FieldName, _ block: borrowing HeaderBlock) -> ByteRange? {
        if block.count(of: name) != 1 { return nil }
        return block.fields.first { $0.known == name }?.value
    }

    // MARK: - Lines

    /// A whole line; none where there is no value.
    private static func line(_ name: String, _ values: [String]) -> [UInt8] {
        values.isEmpty ? [] : Array("\(name): \(values.joined(separator: ", "))\r\n".utf8)
    }

    /// Those of RFC 9110 and RFC 5789 that an API has. `CONNECT` and `TRACE` no page can send.
    private static let commonMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    /// Of the names that a preflight asks for, and that are sent back.
    static let requestFieldsBytesMax = 2048
    private static let preflightVary = line(
        "Vary", ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"])
    private static let privateNetworkLine = line("Access-Control-Allow-Private-Network", ["true"])
    private static let allowPrivateNetwork = FieldFolding.folded("access-control-allow-private-network")
    private static let responseFields = FieldNameSet([
        .accessControlAllowOrigin, .accessControlAllowCredentials, .accessControlAllowMethods,
        .accessControlAllowHeaders, .accessControlExposeHeaders, .accessControlMaxAge,
    ])
}
