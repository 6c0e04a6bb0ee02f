// The characters that a terminal, and some servers, obey instead of showing them. Whatever others wrote is
// freed of them before people or programs read it.

extension Unicode.Scalar {
    /// C0, DEL or C1: Unicode's category Cc.
    package var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}

extension String {
    /// The text with a U+FFFD in the place of each control character, line breaks and tabs among them.
    package var withoutControls: String {
        String(UnicodeScalarView(unicodeScalars.map { $0.isControl ? "\u{FFFD}" : $0 }))
    }
}
