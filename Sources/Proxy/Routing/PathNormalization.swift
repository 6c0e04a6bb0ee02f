// One path for everybody: what is normalised here is what is matched *and* what is forwarded, so that no
// upstream can see another path than the one that was authorised.
//
// Percent-encoded unreserved characters are decoded, other encodings written in upper case (RFC 3986 §6.2.2),
// dot segments resolved (§5.2.4), repeated slashes merged. What upstreams read differently from each other is
// refused: encoded slash, backslash, NUL or percent sign, and dot segments with parameters (`..;`).

import Primitives

/// Brings a path into its one normal form.
enum PathNormalization {
    enum Outcome: Equatable {
        /// The path is in normal form as it stands.
        case unchanged
        /// The normal form is in the scratch bytes.
        case rewritten
        /// The path cannot be brought into a form that everybody reads alike.
        case refused
    }

    /// - Parameters:
    ///   - path: starts with a slash, has no query.
    ///   - scratch: receives the normal form where it differs.
    static func normalise(_ path: Span<UInt8>, into scratch: inout [UInt8]) -> Outcome {
        if !needsWork(path) { return .unchanged }
        scratch.removeAll(keepingCapacity: true)
        var index = 0
        while index < path.count {
            let byte = path[index]
            if byte == percent {
                guard index + 2 < path.count, let high = ASCII.hexadecimalValue(path[index + 1]),
                    let low = ASCII.hexadecimalValue(path[index + 2])
                else { return .refused }
                index += 3
                if !append(decoded: high << 4 | low, to: &scratch) { return .refused }
            } else if byte == backslash {
                return .refused
            } else {
                scratch.append(byte)
                index += 1
            }
        }
        return !isEncodedTwice(scratch) && resolveSegments(&scratch) ? .rewritten : .refused
    }

    /// A path as the most lenient upstream might read it: parameters (`;…`) dropped from each segment,
    /// everything decoded. nil when that is the path itself. Where it would take another route, the request
    /// is refused: `/admin;x` is `/admin` to a servlet container, and `/%40ops` is `/@ops` to almost
    /// everybody.
    static func looseReading(of path: Span<UInt8>) -> [UInt8]? {
        var isPlain = true
        for index in 0..<path.count where path[index] == percent || path[index] == semicolon {
            isPlain = false
        }
        if isPlain { return nil }
        var loose: [UInt8] = []
        var index = 0
        var isParameter = false
        while index < path.count {
            var byte = path[index]
            index += 1
            if byte == percent, index + 1 < path.count, let high = ASCII.hexadecimalValue(path[index]),
                let low = ASCII.hexadecimalValue(path[index + 1])
            {
                byte = high << 4 | low
                index += 2
            }
            if byte == slash { isParameter = false }
            if byte == semicolon { isParameter = true }
            if !isParameter { loose.append(byte) }
        }
        return resolveSegments(&loose) ? loose : []
    }

    /// Whether a path needs more than one look: most do not.
    private static func needsWork(_ path: Span<UInt8>) -> Bool {
        var previous: UInt8 = 0
        for index in 0..<path.count {
            let byte = path[index]
            if byte == percent || byte == backslash { return true }
            if previous == slash && (byte == slash || byte == dot) { return true }
            previous = byte
        }
        return false
    }

    private static func append(decoded byte: UInt8, to output: inout [UInt8]) -> Bool {
        switch byte {
        case slash, backslash, 0: return false
        case _ where ASCII.unreserved.contains(byte): output.append(byte)
        default: output += [percent, upperDigit(byte >> 4), upperDigit(byte & 15)]
        }
        return true
    }

    /// `%252e`: whoever decodes twice sees a dot. Looked for behind the decoding, which can make one of
    /// `%25%32e`.
    private static func isEncodedTwice(_ path: [UInt8]) -> Bool {
        guard path.count >= 5 else { return false }
        for index in 0..<(path.count - 4) where path[index] == percent {
            if path[index + 1] == UInt8(ascii: "2"), path[index + 2] == UInt8(ascii: "5"),
                ASCII.hexadecimalValue(path[index + 3]) != nil, ASCII.hexadecimalValue(path[index + 4]) != nil
            {
                return true
            }
        }
        return false
    }

    /// Resolves dot segments and merges slashes in place; false when the path climbs above its root or hides
    /// a dot segment behind a parameter.
    private static func resolveSegments(_ path: inout [UInt8]) -> Bool {
        var output: [UInt8] = []
        output.reserveCapacity(path.count)
        var index = 0
        while index < path.count {
            // Each turn starts at a slash; several of them are one.
            while index < path.count && path[index] == slash { index += 1 }
            let start = index
            while index < path.count && path[index] != slash { index += 1 }
            let segment = path[start..<index]
            let isLast = index == path.count
            if segment.elementsEqual([dot]) {
                if isLast { output.append(slash) }
            } else if segment.elementsEqual([dot, dot]) {
                guard let parent = output.lastIndex(of: slash) else { return false }
                output.removeSubrange(parent...)
                if isLast { output.append(slash) }
            } else if hidesDots(segment) {
                return false
            } else {
                output.append(slash)
                output += segment
            }
        }
        if output.isEmpty { output.append(slash) }
        path = output
        return true
    }

    /// `..;x`: Java servers drop what follows the semicolon before they resolve dots.
    private static func hidesDots(_ segment: ArraySlice<UInt8>) -> Bool {
        guard let end = segment.firstIndex(of: UInt8(ascii: ";")) else { return false }
        let name = segment[..<end]
        return name.elementsEqual([dot]) || name.elementsEqual([dot, dot])
    }

    private static func upperDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 55 + value }

    private static let percent = UInt8(ascii: "%")
    private static let slash = UInt8(ascii: "/")
    private static let backslash = UInt8(ascii: "\\")
    private static let dot = UInt8(ascii: ".")
    private static let semicolon = UInt8(ascii: ";")
}
