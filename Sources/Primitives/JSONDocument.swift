// JSON (RFC 8259) as the gateway believes it: claims, token headers, request bodies.
//
// One forward pass over bounded depth and size checks the whole text and leaves a flat list of nodes; nothing
// is decoded before it is asked for. Stricter than most: a repeated member name is an error (RFC 7515 §4, RFC
// 7519 §4), text must be UTF-8, and nothing may follow the value.

/// A checked JSON text with random access to its values.
public struct JSONDocument: Sendable {
    /// The text that was parsed.
    public let bytes: [UInt8]
    let nodes: [JSONNode]

    /// Checks a JSON text.
    ///
    /// - Parameters:
    ///   - bytes: the text, UTF-8 without a byte order mark.
    ///   - depthMax: how deep arrays and objects may nest.
    ///   - nodesMax: how many values (member names not counted) the text may have.
    /// - Throws: what is wrong with it and where.
    public init(parsing bytes: [UInt8], depthMax: Int = 16, nodesMax: Int = 4096) throws(JSONError) {
        var scanner = JSONScanner(depthMax: depthMax, nodesMax: nodesMax)
        try scanner.scanDocument(bytes.span)
        self.bytes = bytes
        nodes = scanner.nodes
    }

    /// The outermost value.
    public var root: JSONValue { JSONValue(document: self, index: 0) }
}

/// What a JSON text can be refused for, with the byte offset.
public enum JSONError: Error, Equatable, Sendable {
    /// The text is not JSON at this offset, or ends too early.
    case malformed(at: Int)
    /// A member name stands twice in one object.
    case duplicateMember(at: Int)
    /// Nested deeper, or more values, than allowed.
    case tooLarge(at: Int)
}

/// One value of a document.
public struct JSONValue: Sendable {
    /// What a value is.
    public enum Kind: UInt8, Sendable {
        case object, array, string, number, `true`, `false`, null
    }

    let document: JSONDocument
    let index: Int

    private var node: JSONNode { document.nodes[index] }

    /// What the value is.
    public var kind: Kind { node.kind }

    /// The bytes of the value as they stand in the text; a string's without its quotes.
    public var raw: ArraySlice<UInt8> { document.bytes[node.range.start..<node.range.end] }

    /// The bytes of the value as they stand in the text, a string's with its quotes: JSON by themselves.
    public var text: ArraySlice<UInt8> {
        kind == .string ? document.bytes[(node.range.start - 1)...node.range.end] : raw
    }

    /// A member of an object; nil when there is none, or this is no object. Names are compared as code points
    /// (RFC 8259 §8.3): `String` would also take what is canonically equivalent.
    public subscript(_ name: String) -> JSONValue? {
        members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// What a path of member names leads to, such as `realm_access`, `roles`; nil where it leads nowhere.
    public func value(at path: [String]) -> JSONValue? {
        var value = self
        for name in path {
            guard let member = value[name] else { return nil }
            value = member
        }
        return value
    }

    /// The members of an object in their order; empty for anything else.
    public var members: [(name: String, value: JSONValue)] {
        guard kind == .object else { return [] }
        var result: [(name: String, value: JSONValue)] = []
        var child = index + 1
        while child < node.next {
            let name = JSONValue(document: document, index: child).string ?? ""
            result.append((name, JSONValue(document: document, index: child + 1)))
            child = document.nodes[child + 1].next
        }
        return result
    }

    /// The elements of an array; empty for anything else.
    public var elements: [JSONValue] {
        guard kind == .array else { return [] }
        var result: [JSONValue] = []
        var child = index + 1
        while child < node.next {
            result.append(JSONValue(document: document, index: child))
            child = document.nodes[child].next
        }
        return result
    }

    /// A string's text with its escapes resolved; nil for anything else.
    public var string: String? {
        guard kind == .string else { return nil }
        if !node.hasEscapes { return String(decoding: raw, as: UTF8.self) }
        return JSONEscapes.resolve(raw)
    }

    /// An integer's value; nil for anything else, for a fraction, and for what does not fit in 64 bits.
    public var integer: Int64? {
        guard kind == .number else { return nil }
        return Int64(String(decoding: raw, as: UTF8.self))
    }

    /// A number's value rounded towards zero; nil for anything else and for what does not fit in 64 bits. RFC
    /// 7519 §2 lets a NumericDate have a fraction.
    public var wholeNumber: Int64? {
        if let integer { return integer }
        guard kind == .number, let value = Double(String(decoding: raw, as: UTF8.self)) else { return nil }
        // The conversion truncates by itself; 2^63 is the first value that does not fit.
        return abs(value) < 0x1p63 ? Int64(value) : nil
    }

    /// `true` or `false`; nil for anything else.
    public var boolean: Bool? {
        switch kind {
        case .true: true
        case .false: false
        default: nil
        }
    }
}

/// A value's place: its bytes, and the node behind its last descendant.
struct JSONNode: Sendable {
    var kind: JSONValue.Kind
    var hasEscapes: Bool
    var range: ByteRange
    var next: Int
}
