// Every way in which a peer's bytes can break HTTP/1.1, each with the status that answers it and the word
// that logs and metrics use. After any of them the connection is closed: where one message ended is no longer
// known.

/// A message that breaks RFC 9110 or RFC 9112, or one of our limits.
package enum ProtocolViolation: String, Error, Sendable, CaseIterable {
    case startLine = "start_line"
    case methodToken = "method"
    case target = "target"
    case version = "version"
    case versionUnsupported = "version_unsupported"
    case bareLineFeed = "bare_lf"
    case bareCarriageReturn = "bare_cr"
    case controlByte = "control_byte"
    case fieldName = "field_name"
    case foldedLine = "obs_fold"
    case hostMissing = "host_missing"
    case hostRepeated = "host_repeated"
    case hostMalformed = "host_malformed"
    case hostConflict = "host_conflict"
    case contentLengthMalformed = "content_length"
    case contentLengthRepeated = "content_length_repeated"
    case lengthAndCoding = "length_and_coding"
    case transferCoding = "transfer_coding"
    case codingInHTTP10 = "coding_in_http10"
    case chunkSize = "chunk_size"
    case chunkExtension = "chunk_extension"
    case chunkData = "chunk_data"
    case trailer = "trailer"
    case statusCode = "status_code"
    case expectation = "expectation"
    case headTooLarge = "head_too_large"
    case tooManyFields = "too_many_fields"
    case targetTooLong = "target_too_long"
    case connectMethod = "connect_method"
    case unsolicitedUpgrade = "unsolicited_upgrade"
    case interimFlood = "interim_flood"

    /// The status that answers a request with this fault. A response with a fault is answered by 502.
    package var status: Int {
        switch self {
        case .headTooLarge, .tooManyFields: 431
        case .targetTooLong: 414
        case .versionUnsupported: 505
        case .expectation: 417
        case .connectMethod: 405
        default: 400
        }
    }

    /// The word in logs and metrics.
    package var word: String { rawValue }
}

/// What bounds a message head and the framing of a body.
package struct MessageLimits: Sendable {
    /// The whole head: start line, field lines and the empty line.
    package var headBytesMax = 32 * 1024
    package var fieldCountMax = 100
    /// RFC 9112 §3: "RECOMMENDED that all senders and recipients support ... at a minimum ... 8000 octets".
    package var targetBytesMax = 16 * 1024
    /// Sum of all chunk extensions of one body: they carry nothing and amplify (CVE-2023-39326).
    package var chunkExtensionBytesMax = 4 * 1024
    /// The trailer section of one body.
    package var trailerBytesMax = 8 * 1024
    /// Interim responses before a final one.
    package var interimResponsesMax = 16

    package init() {}
}
