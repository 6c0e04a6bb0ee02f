// Breaks text for a terminal into lines: what help prints is as wide as a page, and no wider.

/// Fills lines with words.
package enum TextWrapping {
    /// The lines of `text`, each no wider than `width` as far as its words allow.
    ///
    /// - Parameters:
    ///   - indent: what the first line begins with; it counts for the width.
    ///   - hanging: what the others begin with; nil is as many blanks as `indent` has characters.
    package static func lines(
        of text: String, width: Int, indent: String = "", hanging: String? = nil
    ) -> [String] {
        let parts = text.split(separator: " ").map(String.init)
        return lines(joining: parts, by: " ", width: width, indent: indent, hanging: hanging)
    }

    /// The lines of parts that stay whole, with `separator` between those that share a line.
    package static func lines(
        joining parts: [String], by separator: String, width: Int, indent: String = "",
        hanging: String? = nil
    ) -> [String] {
        let hanging = hanging ?? String(repeating: " ", count: indent.count)
        var lines: [String] = []
        var line = indent
        var isEmpty = true
        for part in parts {
            if !isEmpty, line.count + separator.count + part.count > width {
                lines.append(line)
                line = hanging
                isEmpty = true
            }
            line += isEmpty ? part : separator + part
            isEmpty = false
        }
        return lines + [line]
    }
}
