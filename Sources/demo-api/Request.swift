// A request as the demo API sees it: text, no ranges. The gateway's own paths count every allocation; an
// ordinary API does not, and neither does this one.

import HTTP
import Primitives

/// A request's head and, once it is there, its body.
struct Request {
    let method: Method
    let path: String
    let query: Parameters
    /// The authority that the request is for.
    let host: String
    var body: [UInt8] = []
    private let fields: [(name: String, value: String)]

    init(_ head: borrowing RequestHead) {
        method = head.method
        var fields: [(name: String, value: String)] = []
        (path, query, host) = head.block.withBytes { bytes in
            for field in head.block.fields {
                let name = String(lossy: bytes.extracting(field.name.offsets)).lowercased()
                fields.append((name, String(lossy: bytes.extracting(field.value.offsets))))
            }
            return (
                String(lossy: bytes.extracting(head.path.offsets)),
                Parameters(form: [UInt8](copying: bytes.extracting(head.query.offsets)).dropFirst())
                    ?? Parameters(),
                String(lossy: bytes.extracting(head.authority.offsets))
            )
        }
        self.fields = fields
    }

    /// The value of the first field of that name, which is in lower case.
    func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// The values of all fields of that name, which is in lower case.
    func allFields(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    /// The media type of the body, without parameters.
    var mediaType: String {
        let type = (field("content-type") ?? "").prefix { $0 != ";" }.lowercased()
        return String(type.filter { $0 != " " && $0 != "\t" })
    }

    /// Whether the body is what an HTML form sends.
    var isForm: Bool { mediaType == "application/x-www-form-urlencoded" }

    /// The parameters of the body, a form or a JSON object; nil when it is neither.
    var parameters: Parameters? { isForm ? Parameters(form: body[...]) : Parameters(json: body) }
}

/// Names and their text values: of a query, a form, or a JSON object.
struct Parameters {
    private var values: [String: String] = [:]

    init() {}

    /// nil: a broken escape, or bytes that are not UTF-8.
    init?(form bytes: ArraySlice<UInt8>) {
        for pair in bytes.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts[0]), let value = Self.decoded(parts.count > 1 ? parts[1] : [])
            else { return nil }
            values[name] = value
        }
    }

    /// nil: no JSON object. Members that are no strings are left out.
    init?(json bytes: [UInt8]) {
        guard let document = try? JSONDocument(parsing: bytes), document.root.kind == .object else {
            return nil
        }
        for member in document.root.members { values[member.name] = member.value.string }
    }

    subscript(_ name: String) -> String? { values[name] }

    /// A value as a whole number of at most `limit`, `fallback` when it is absent; nil when it is no such
    /// number.
    func number(_ name: String, upTo limit: UInt64, orElse fallback: UInt64) -> UInt64? {
        guard let text = values[name] else { return fallback }
        guard let number = UInt64(text), number <= limit else { return nil }
        return number
    }

    /// Takes percent-encoding off, and `+` for a blank.
    private static func decoded(_ bytes: ArraySlice<UInt8>) -> String? {
        var output: [UInt8] = []
        var iterator = bytes.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "+"): output.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(ASCII.hexadecimalValue),
                    let low = iterator.next().flatMap(ASCII.hexadecimalValue)
                else { return nil }
                output.append(high << 4 | low)
            default: output.append(byte)
            }
        }
        return String(validating: output, as: UTF8.self)
    }
}
