// What one row of the directive table says: a directive's name, where it stands, what it takes, and what it
// is for.
//
// Owns the vocabulary of the rows, not the rows (`DirectiveTable`) and not the meaning of values
// (`Validator`). The check of a file, the help of every error and `auth-gateway help directives` all come
// from these rows and so cannot disagree.

/// A place that directives stand in.
package enum Block: String, Sendable, CaseIterable {
    case main, tls
    case serverName = "server_name"
    case limits, logs, control
    case accessToken = "access_token"
    case style
    case refreshToken = "refresh_token"
    case accessCheck = "access_check"
    case exchangeToken = "exchange token"
    case exchangeCookie = "exchange cookie"
    case issuer, jwks, discovery
    case upstream
    case upstreamTLS = "upstream tls"
    case healthCheck = "health_check"
    case route, cors

    /// As in "stands in …".
    package var phrase: String {
        switch self {
        case .main: "the main block"
        case .upstreamTLS: "'tls' of 'upstream'"
        default: "'\(rawValue)'"
        }
    }

    /// How it is written.
    package var form: String {
        switch self {
        case .upstreamTLS: "upstream … { tls { … } }"
        case .style: "style single { … }"
        default: "\(rawValue) { … }"
        }
    }
}

/// One directive in the blocks where it means the same.
package struct Directive: Sendable {
    /// What stands between the name and the `;` or `{`.
    package enum Shape: Sendable {
        case none
        /// Milliseconds.
        case duration(ClosedRange<Int64>)
        /// Bytes.
        case size(ClosedRange<UInt64>)
        case number(ClosedRange<Int>)
        case choice([String])
        /// Anything else: its form in words, and how many arguments it may have.
        case arguments(String, ClosedRange<Int>)
    }

    package let name: String
    /// Where it may stand.
    package let blocks: [Block]
    package let shape: Shape
    /// The block that it opens; nil for a directive that ends with `;`.
    package let opens: Block?
    /// Whether it may also end with `;`, where every default of its block will do.
    package let blockIsOptional: Bool
    /// The bounds of what its shape does not bound, in words.
    private let bounds: String?
    /// The arguments that hold where it is not given, as they would be written; nil where there is no
    /// default.
    package let defaultText: String?
    /// A whole sentence: what it is for.
    package let summary: String
    /// A complete directive, as help shows it.
    package let example: String
    package let mayRepeat: Bool
    /// Arguments that a later release brings: whole words, or what such arguments begin with (`unix:`,
    /// `weight=`).
    package let laterArguments: [String]

    package init(
        _ name: String, in blocks: [Block], _ shape: Shape, opens: Block? = nil,
        blockIsOptional: Bool = false, default defaultText: String? = nil, bounds: String? = nil,
        example: String? = nil, repeats mayRepeat: Bool = false, later laterArguments: [String] = [],
        _ summary: String
    ) {
        self.name = name
        self.blocks = blocks
        self.shape = shape
        self.opens = opens
        self.blockIsOptional = blockIsOptional
        self.bounds = bounds
        self.defaultText = defaultText
        self.summary = summary
        let ending = opens == nil ? ";" : " { … }"
        self.example = example ?? (defaultText.map { "\(name) \($0)" } ?? name) + ending
        self.mayRepeat = mayRepeat
        self.laterArguments = laterArguments
    }

    /// How many arguments it takes.
    package var argumentCount: ClosedRange<Int> {
        switch shape {
        case .none: 0...0
        case .duration, .size, .number, .choice: 1...1
        case .arguments(_, let count): count
        }
    }

    /// After how many arguments another directive's name at the start of a line is no argument any more, but
    /// the sign of a missing semicolon. The words of a list may be any.
    package var argumentsEnough: Int {
        argumentCount.upperBound < Self.listMin ? argumentCount.lowerBound : argumentCount.upperBound
    }

    /// So many arguments are as many as one likes.
    package static let listMin = 100

    /// The directive's form, as in `lifetime DURATION;`.
    package var form: String {
        let arguments =
            switch shape {
            case .none: ""
            case .duration: " DURATION"
            case .size: " SIZE"
            case .number: " NUMBER"
            case .choice(let words): " " + words.joined(separator: "|")
            case .arguments(let form, _): form.isEmpty ? "" : " " + form
            }
        return name + arguments + (opens == nil ? ";" : blockIsOptional ? " [{ … }];" : " { … }")
    }

    /// What help says of a directive in the wrong form.
    package var formAndExample: String {
        "its form is '\(form)'" + (form == example ? "" : ", for example '\(example)'")
    }

    /// The range of its value in words; nil where any value of its form will do.
    package var rangeText: String? {
        switch shape {
        case .duration(let range): ValueDecoding.rangeText(range)
        case .size(let range): ValueDecoding.rangeText(range)
        case .number(let range): ValueDecoding.rangeText(range)
        case .none, .choice, .arguments: bounds
        }
    }

    /// "the main block or 'route'".
    package var placeText: String { blocks.map(\.phrase).joined(separator: " or ") }

    /// Whether a later release brings the argument `text`.
    package func bringsLater(_ text: String) -> Bool {
        laterArguments.contains { known in
            let isPrefix = known.hasSuffix(":") || known.hasSuffix("=") || known.hasSuffix("/")
            return isPrefix ? text.hasPrefix(known) : text == known
        }
    }
}
