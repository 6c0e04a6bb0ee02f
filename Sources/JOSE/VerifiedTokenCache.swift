// Remembers verified tokens by the SHA-256 of their exact bytes, so that a signature is checked once and not
// on every request. Expiry, revocation and route policy are not remembered: the caller asks them on every
// hit.
//
// A segmented LRU: a new token starts on probation and is promoted when it is seen again, so that a flood of
// tokens that are used once pushes out other newcomers and never the tokens in daily use. Entries live in one
// array and are linked by indices: a hit allocates nothing.
//
//     total bytes <= bytesMax     protected bytes <= 4/5 of bytesMax     every entry is in exactly one list
//
// Owned by one shard: not Sendable, no lock.

package import Crypto

internal import Primitives

/// A bounded memory of verified tokens.
package final class VerifiedTokenCache {
    private struct Entry {
        var digest: SHA256Digest
        var token: VerifiedToken?
        var cost: Int
        var isProtected: Bool
        var newer: Int
        var older: Int
    }

    /// A list from its newest entry to its oldest.
    private struct Segment {
        var newest = none
        var oldest = none
        var bytes = 0
    }

    private let bytesMax: Int
    private let protectedBytesMax: Int
    private var indices: [SHA256Digest: Int] = [:]
    private var entries: [Entry] = []
    private var free: [Int] = []
    private var probation = Segment()
    private var protected = Segment()

    /// How many lookups found their token.
    package private(set) var hits: UInt64 = 0
    /// How many lookups did not.
    package private(set) var misses: UInt64 = 0

    /// An empty cache that holds at most so many bytes, by its own reckoning.
    package init(bytesMax: Int) {
        self.bytesMax = bytesMax
        protectedBytesMax = bytesMax / 5 * 4
    }

    /// How many tokens are remembered.
    package var count: Int { indices.count }

    /// How many bytes they are reckoned at.
    package var bytes: Int { probation.bytes + protected.bytes }

    /// The token of that digest. Its signature was good; whether it still is, `VerifiedToken.refusal` tells.
    package func lookup(_ digest: SHA256Digest) -> VerifiedToken? {
        guard let index = indices[digest] else {
            misses &+= 1
            return nil
        }
        hits &+= 1
        touch(index)
        return entries[index].token
    }

    /// Remembers a token that was verified just now. One too large for the cache is not remembered.
    package func insert(_ token: VerifiedToken, digest: SHA256Digest, tokenBytes: Int) {
        remove(digest)
        let cost = tokenBytes + 2 * token.claims.bytes.count + entryOverheadBytes
        if cost > bytesMax { return }
        while bytes + cost > bytesMax { evictOldest() }
        let entry = Entry(
            digest: digest, token: token, cost: cost, isProtected: false, newer: none, older: none)
        let index = place(entry)
        indices[digest] = index
        Self.link(index, in: &probation, &entries)
    }

    /// Forgets one token, if it is there: one that has expired or was revoked only takes room.
    package func remove(_ digest: SHA256Digest) {
        guard let index = indices[digest] else { return }
        discard(index)
    }

    /// Forgets the tokens that meet a condition, whose key has been withdrawn for one. Looks at all of them.
    package func removeAll(where isGone: (VerifiedToken) -> Bool) {
        for index in entries.indices {
            if let token = entries[index].token, isGone(token) { discard(index) }
        }
    }

    /// Forgets every token: the keys or the policy have changed.
    package func removeAll() {
        indices.removeAll()
        entries.removeAll()
        free.removeAll()
        probation = Segment()
        protected = Segment()
    }
}

// MARK: - Moving entries

extension VerifiedTokenCache {
    /// Makes an entry the newest of the protected segment, and sends back to probation what no longer fits
    /// there.
    private func touch(_ index: Int) {
        if entries[index].isProtected {
            if protected.newest == index { return }
            Self.unlink(index, from: &protected, &entries)
            Self.link(index, in: &protected, &entries)
            return
        }
        Self.unlink(index, from: &probation, &entries)
        entries[index].isProtected = true
        Self.link(index, in: &protected, &entries)
        while protected.bytes > protectedBytesMax {
            let oldest = protected.oldest
            Self.unlink(oldest, from: &protected, &entries)
            entries[oldest].isProtected = false
            Self.link(oldest, in: &probation, &entries)
        }
    }

    private func evictOldest() {
        let index = probation.oldest != none ? probation.oldest : protected.oldest
        precondition(index != none, "a cache without entries has no bytes to give back")
        discard(index)
    }

    private func discard(_ index: Int) {
        if entries[index].isProtected {
            Self.unlink(index, from: &protected, &entries)
        } else {
            Self.unlink(index, from: &probation, &entries)
        }
        indices[entries[index].digest] = nil
        entries[index].token = nil
        free.append(index)
    }

    private func place(_ entry: Entry) -> Int {
        if let index = free.popLast() {
            entries[index] = entry
            return index
        }
        entries.append(entry)
        return entries.count - 1
    }

    private static func link(_ index: Int, in segment: inout Segment, _ entries: inout [Entry]) {
        entries[index].newer = none
        entries[index].older = segment.newest
        if segment.newest != none { entries[segment.newest].newer = index } else { segment.oldest = index }
        segment.newest = index
        segment.bytes += entries[index].cost
    }

    private static func unlink(_ index: Int, from segment: inout Segment, _ entries: inout [Entry]) {
        let (newer, older) = (entries[index].newer, entries[index].older)
        if newer != none { entries[newer].older = older } else { segment.newest = older }
        if older != none { entries[older].newer = newer } else { segment.oldest = newer }
        segment.bytes -= entries[index].cost
    }
}

/// No entry.
private let none = -1

/// What an entry takes beside its token and claims: the entry, its place in the table, the token object, its
/// arrays and the list of parsed values.
private let entryOverheadBytes = 1024
