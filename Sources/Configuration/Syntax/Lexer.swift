// Configuration text to tokens: words, `;`, `{`, `}`. Comments and white space end here.
//
// Owns quoting, escapes and the shape of `${VAR}`; looks no variable up. It also decides which words are
// secrets by where they stand, long before anything is understood, so that even a file that does not parse
// gives none away. Every call of `next` consumes at least one byte or returns `.end`; any bytes are accepted
// as input.

import Primitives

/// A part of a word: text as it stands, or a variable to be replaced.
package enum WordPart: Equatable {
    case text([UInt8])
    case variable(name: String, fallback: [UInt8]?)
}

/// One name or argument.
package struct Word: Equatable {
    package var parts: [WordPart]
    package var location: SourceLocation
    package var isQuoted: Bool
    /// Nothing but white space stands before it on its line.
    package var startsLine: Bool
    /// Already reported as faulty.
    package var isBroken = false
    /// Broken by a string without an end: the statement's `;` is probably inside of it.
    package var isUnclosed = false
}

package enum Token: Equatable {
    case word(Word)
    case semicolon(SourceLocation)
    case open(SourceLocation)
    case close(SourceLocation)
    case end(SourceLocation)
}

package struct Lexer {
    private let bytes: [UInt8]
    private let file: Int
    private let report: DiagnosticReport
    private var offset = 0
    private var startsLine = true
    private var startsStatement = true
    /// Words are secret until the statement ends.
    private var isConcealing = false
    /// The statement is `set_header`, or was meant to be.
    private var setsField = false
    /// The statement is `expect`, or was meant to be.
    private var expects = false

    package init(bytes: [UInt8], file: Int, report: DiagnosticReport) {
        self.bytes = bytes
        self.file = file
        self.report = report
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
    }

    package mutating func next() -> Token {
        skipBlanksAndComments()
        guard offset < bytes.count else { return .end(location(from: bytes.count)) }
        let start = offset
        switch bytes[offset] {
        case UInt8(ascii: ";"), UInt8(ascii: "{"), UInt8(ascii: "}"):
            offset += 1
            startsLine = false
            startsStatement = true
            let isOpening = bytes[start] == UInt8(ascii: "{")
            // `secret a;b;` was perhaps meant as one secret: only white space proves the end of it.
            if !isOpening, offset == bytes.count || isBlank(bytes[offset]) { isConcealing = false }
            if bytes[start] == UInt8(ascii: ";") { return .semicolon(location(from: start)) }
            return isOpening ? .open(location(from: start)) : .close(location(from: start))
        default:
            return .word(word())
        }
    }

    private mutating func skipBlanksAndComments() {
        while offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "#") {
                let start = offset
                while offset < bytes.count, bytes[offset] != UInt8(ascii: "\n") { offset += 1 }
                if isConcealing { report.conceal(location(from: start)) }
            } else if isBlank(bytes[offset]) {
                if bytes[offset] == UInt8(ascii: "\n") { startsLine = true }
                offset += 1
            } else {
                return
            }
        }
    }

    private mutating func word() -> Word {
        let start = offset
        let isQuoted = bytes[start] == UInt8(ascii: "\"")
        var word = Word(
            parts: [], location: location(from: start), isQuoted: isQuoted, startsLine: startsLine)
        startsLine = false
        if isQuoted {
            quotedString(into: &word)
            if offset < bytes.count, !isDelimiter(bytes[offset]), !word.isBroken {
                report.error(
                    "white space is missing behind the closing quotation mark", at: location(from: offset),
                    help: "put the quotation marks around the whole argument, or a space behind them")
                word.isBroken = true
            }
        } else {
            bareWord(into: &word)
        }
        word.location = location(from: start)
        noteSecrets(of: word)
        startsStatement = false
        return word
    }

    private func location(from start: Int) -> SourceLocation {
        SourceLocation(file: file, range: ByteRange(start, max(start, offset)))
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (9...13).contains(byte) }

    private func isDelimiter(_ byte: UInt8) -> Bool {
        isBlank(byte) || byte == UInt8(ascii: ";") || byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}")
    }
}

// MARK: - Words

extension Lexer {
    private mutating func bareWord(into word: inout Word) {
        var text: [UInt8] = []
        while offset < bytes.count {
            let byte = bytes[offset]
            if startsVariable() {
                variable(into: &word, flushing: &text)
            } else if byte == UInt8(ascii: "\"") {
                report.error(
                    "a quotation mark stands inside of an argument", at: location(from: offset),
                    help: "put the quotation marks around the whole argument: \"name=some text\"")
                word.isBroken = true
                quotedString(into: &word)
            } else if isDelimiter(byte) {
                break
            } else {
                text.append(byte)
                offset += 1
            }
        }
        if !text.isEmpty { word.parts.append(.text(text)) }
    }

    /// From the opening quotation mark to behind the closing one. A string ends on its line, so that a
    /// forgotten quotation mark costs one line and not the rest of the file.
    private mutating func quotedString(into word: inout Word) {
        let start = offset
        var text: [UInt8] = []
        offset += 1
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "\n") {
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") {
                offset += 1
                word.parts.append(.text(text))
                return
            }
            if byte == UInt8(ascii: "\\") {
                escape(into: &text, of: &word)
            } else if startsVariable() {
                variable(into: &word, flushing: &text)
            } else {
                text.append(byte)
                offset += 1
            }
        }
        word.isBroken = true
        word.isUnclosed = true
        report.error(
            "this quotation mark is not closed on its line", at: location(from: start),
            help: "a line break inside of a string is written \\n")
    }

    private mutating func escape(into text: inout [UInt8], of word: inout Word) {
        let start = offset
        let escaped = offset + 1 < bytes.count ? bytes[offset + 1] : UInt8(ascii: "\n")
        switch escaped {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "$"): text.append(escaped)
        case UInt8(ascii: "n"): text.append(UInt8(ascii: "\n"))
        case UInt8(ascii: "t"): text.append(UInt8(ascii: "\t"))
        default:
            offset += 1
            word.isBroken = true
            report.error(
                "unknown escape in a quoted string", at: location(from: start),
                help: #"known are \" \\ \$ \n \t; a backslash itself is written \\"#)
            return
        }
        offset += 2
    }

    private func startsVariable() -> Bool {
        offset + 1 < bytes.count && bytes[offset] == UInt8(ascii: "$")
            && bytes[offset + 1] == UInt8(ascii: "{")
    }

    /// `${NAME}` or `${NAME:-default}`; the default is taken as it stands, up to the brace.
    private mutating func variable(into word: inout Word, flushing text: inout [UInt8]) {
        if !text.isEmpty { word.parts.append(.text(text)) }
        text = []
        let start = offset
        offset += 2
        let nameStart = offset
        while offset < bytes.count, ASCII.isAlphanumeric(bytes[offset]) || bytes[offset] == UInt8(ascii: "_")
        {
            offset += 1
        }
        let name = bytes[nameStart..<offset]
        var fallback: [UInt8]?
        if bytes[offset...].starts(with: [UInt8(ascii: ":"), UInt8(ascii: "-")]) {
            offset += 2
            let defaultStart = offset
            while offset < bytes.count, !endsDefault(bytes[offset], inQuotes: word.isQuoted) { offset += 1 }
            fallback = Array(bytes[defaultStart..<offset])
        }
        let isClosed = offset < bytes.count && bytes[offset] == UInt8(ascii: "}")
        if isClosed { offset += 1 }
        guard isClosed, let first = name.first, !ASCII.isDigit(first) else {
            word.isBroken = true
            skipFaultyVariable()
            report.error(
                "'${' does not begin a variable here", at: location(from: start),
                help: "a variable is ${NAME} or ${NAME:-default}; in quotation marks \\${ is the text itself")
            return
        }
        word.parts.append(.variable(name: String(decoding: name, as: UTF8.self), fallback: fallback))
    }

    /// To behind the brace that was meant to close it, if there is one before anything that ends the
    /// statement.
    private mutating func skipFaultyVariable() {
        if bytes[offset - 1] == UInt8(ascii: "}") { return }
        let stops = [UInt8(ascii: "}"), UInt8(ascii: ";"), UInt8(ascii: "\""), UInt8(ascii: "\n")]
        guard let stop = bytes[offset...].firstIndex(where: { stops.contains($0) }) else { return }
        if bytes[stop] == UInt8(ascii: "}") { offset = stop + 1 }
    }

    private func endsDefault(_ byte: UInt8, inQuotes: Bool) -> Bool {
        if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\"") {
            return true
        }
        return !inQuotes && isDelimiter(byte)
    }
}

// MARK: - Secrets

extension Lexer {
    /// Conceals `word` if it is a secret by its place or its looks. Rather one word too many than one too
    /// few.
    private mutating func noteSecrets(of word: Word) {
        let written = bytes[word.location.range.offsets]
        if startsStatement || word.startsLine {
            setsField = isNear("set_header", written)
            expects = isNear("expect", written)
        }
        let text = written.first == UInt8(ascii: "\"") ? written.dropFirst() : written
        let isReference = text.starts(with: "env:".utf8) || text.starts(with: "file:".utf8)
        // `secret HS256 …`: which algorithm a secret is for is none.
        let isAlgorithm = DirectiveTable.symmetricAlgorithms.contains { written.elementsEqual($0.utf8) }
        if isConcealing, !isReference && !isAlgorithm || word.isBroken {
            report.conceal(word.location)
        } else if expects, let name = text.split(separator: UInt8(ascii: "=")).first, name.count < text.count,
            Self.namesCredential(name)
        {
            // `expect GET / token header X-Api-Key=… 200;`
            report.conceal(word.location)
        } else if announcesSecret(word, written) {
            isConcealing = true
        } else if Self.holdsSecret(written) {
            report.conceal(word.location)
        }
    }

    /// Whether what follows `word` in its statement is a secret: `secret`, or what was meant to be a name
    /// like it.
    private func announcesSecret(_ word: Word, _ written: ArraySlice<UInt8>) -> Bool {
        if written.elementsEqual("secret".utf8) || written.elementsEqual("postgresql".utf8) { return true }
        if setsField, !startsStatement, Self.namesCredential(written) { return true }
        // A name begins its statement; where a semicolon was forgotten it at least begins its line.
        guard startsStatement || word.startsLine, written.count <= 64 else { return false }
        let name = String(decoding: written, as: UTF8.self).lowercased()
        if name.contains("secret") || name.contains("password") { return true }
        return EditDistance.between(name, "secret") <= 2 && !DirectiveTable.names.contains(name)
    }

    private func isNear(_ name: String, _ written: ArraySlice<UInt8>) -> Bool {
        written.count <= 64 && EditDistance.between(name, String(decoding: written, as: UTF8.self)) <= 2
    }

    /// `Authorization`, `X-Api-Key`, `X-Service-Token`: a field whose value lets somebody in.
    static func namesCredential(_ written: some Collection<UInt8>) -> Bool {
        let name = String(decoding: written.prefix(128), as: UTF8.self).lowercased()
        return ["authorization", "key", "token", "secret", "cookie", "credential"].contains(
            where: name.contains)
    }

    /// `host=db password=…` and `http://user:password@host`.
    static func holdsSecret(_ written: some Collection<UInt8>) -> Bool {
        let text = String(decoding: written, as: UTF8.self).lowercased()
        return text.contains("password") || text.contains("://") && text.contains("@")
    }
}
