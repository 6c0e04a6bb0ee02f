// What has happened to a session beyond what its row says anyway, so that "why was I logged out?" has an
// answer: the last few events, oldest first, in the row itself. A refresh from the address of the one before
// leaves nothing here. One line for each:
//
//     MILLISECONDS KIND GENERATION ADDRESS

package import Primitives

/// The last events of a session.
package enum SessionTrail {
    package enum Kind: String, Sendable {
        /// Refreshed from another address than before.
        case moved
        /// The same child was handed out again: an answer had been lost, or another tab asked.
        case repeated
        /// A token newer than the row: the store had lost what it knew.
        case ahead
        /// A token that had been replaced: it ended the session.
        case replay
    }

    package struct Entry: Sendable, Equatable {
        package let at: WallTime
        package let kind: Kind
        /// Of the token that was presented.
        package let generation: UInt32
        package let address: String

        package init(at: WallTime, kind: Kind, generation: UInt32, address: String) {
            self.at = at
            self.kind = kind
            self.generation = generation
            self.address = address
        }

        fileprivate var line: String { "\(at.milliseconds) \(kind.rawValue) \(generation) \(address)\n" }
    }

    /// The trail with one more entry, and without the oldest of too many. The same of the same generation is
    /// noted once: twenty tabs are one event.
    package static func adding(_ entry: Entry, to trail: [UInt8]) -> [UInt8] {
        var known = entries(trail)
        if known.last?.kind == entry.kind && known.last?.generation == entry.generation { return trail }
        known.append(entry)
        return known.suffix(entriesMax).flatMap { Array($0.line.utf8) }
    }

    /// The entries; a line that is none of ours is passed over.
    package static func entries(_ trail: [UInt8]) -> [Entry] {
        trail.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let words = String(decoding: line, as: UTF8.self).split(
                separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
            guard words.count == 4, let at = Int64(words[0]), let kind = Kind(rawValue: String(words[1])),
                let generation = UInt32(words[2])
            else { return nil }
            return Entry(
                at: WallTime(milliseconds: at), kind: kind, generation: generation, address: String(words[3]))
        }
    }

    private static let entriesMax = 8
}
