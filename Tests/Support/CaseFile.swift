// Test vectors as files: one message each, with what must come of it and why.
//
//     expect: refused bare_lf
//     why: RFC 9112 §2.2: two readers could see two messages
//     neighbour: plain
//
//     GET / HTTP/1.1\n
//     Host: a\r\n
//
// Header lines up to the first empty line, then the message. Line ends of the file are no part of the
// message: it has those that are spelled `\r` and `\n`; with `\t`, `\0`, `\\` and `\xNN` for any byte.
// `\{61*300}` stands for 300 bytes 0x61.

package import Foundation

/// One vector.
package struct CaseFile: Sendable, CustomStringConvertible {
    /// The file's name without its ending.
    package let name: String
    /// The bytes that the file spells.
    package let message: [UInt8]
    private let header: [String: String]

    package var description: String { name }

    /// The value of a header line; nil when there is none.
    package subscript(_ name: String) -> String? { header[name] }

    /// The word behind `refused` in the `expect` line; nil when the message is to be accepted.
    package var violation: String? {
        guard let words = self["expect"]?.split(separator: " "), words.first == "refused" else { return nil }
        return words.count == 2 ? String(words[1]) : ""
    }

    /// Every vector of a folder, sorted by name.
    package static func all(in folder: URL) throws -> [CaseFile] {
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return try files.filter { $0.pathExtension == "case" }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .map { try CaseFile(file: $0) }
    }

    private init(file: URL) throws {
        let text = try String(contentsOf: file, encoding: .utf8)
        try self.init(name: file.deletingPathExtension().lastPathComponent, text: text)
    }

    /// The vector that a text spells.
    package init(name: String, text: String) throws {
        self.name = name
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let gap = lines.firstIndex(where: \.isEmpty) else { throw CaseFileFault(name, "no empty line") }
        var header: [String: String] = [:]
        for line in lines[..<gap] {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { throw CaseFileFault(name, "no header line: \(line)") }
            header[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        for required in ["expect", "why"] where header[required] == nil {
            throw CaseFileFault(name, "no \(required) line")
        }
        self.header = header
        message = try Self.bytes(of: lines[(gap + 1)...].joined(), in: name)
    }

    /// The bytes that a text with escapes spells.
    package static func bytes(of text: String, in name: String) throws -> [UInt8] {
        var output: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                output.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "0"): output.append(0x00)
            case UInt8(ascii: "\\"): output.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "x"):
                output.append(try number(String(decoding: rest.prefix(2), as: UTF8.self), 16, name))
                rest = rest.dropFirst(2)
            case UInt8(ascii: "{"):
                let parts = rest.prefix { $0 != UInt8(ascii: "}") }.split(separator: UInt8(ascii: "*"))
                guard parts.count == 2 else { throw CaseFileFault(name, "a repetition without its count") }
                let byte: UInt8 = try number(String(decoding: parts[0], as: UTF8.self), 16, name)
                let count: Int = try number(String(decoding: parts[1], as: UTF8.self), 10, name)
                output += [UInt8](repeating: byte, count: count)
                rest = rest.drop { $0 != UInt8(ascii: "}") }.dropFirst()
            default: throw CaseFileFault(name, "an unknown escape")
            }
        }
        return output
    }

    private static func number<Number: FixedWidthInteger>(
        _ digits: String, _ radix: Int, _ name: String
    ) throws -> Number {
        guard let value = Number(digits, radix: radix) else {
            throw CaseFileFault(name, "no number: \(digits)")
        }
        return value
    }
}

/// A vector that cannot be read.
package struct CaseFileFault: Error, CustomStringConvertible {
    package let description: String

    init(_ name: String, _ fault: String) { description = "\(name): \(fault)" }
}
