// ReplayGain: how much louder or softer a track is played, so that all are equally loud. Pure logic.

/** @typedef {"off" | "track" | "album"} GainMode */

/**
 * @typedef {object} Loudness
 * @property {number | null} [trackGainDb]
 * @property {number | null} [trackPeak] highest sample, 1 for full scale
 * @property {number | null} [albumGainDb]
 * @property {number | null} [albumPeak]
 */

/**
 * The factor of a track's amplitude, such that its peak is not clipped; 1 where nothing is known. In album mode a track without an
 * album's gain has its own, and the other way round.
 * @param {Loudness} loudness
 * @param {GainMode} mode
 */
export function gainFactor({ trackGainDb, trackPeak, albumGainDb, albumPeak }, mode) {
  if (mode === "off") return 1;
  const ofTrack = { gainDb: trackGainDb, peak: trackPeak };
  const ofAlbum = { gainDb: albumGainDb, peak: albumPeak };
  const [preferred, other] = mode === "album" ? [ofAlbum, ofTrack] : [ofTrack, ofAlbum];
  const { gainDb, peak } = typeof preferred.gainDb === "number" ? preferred : other;
  if (typeof gainDb !== "number" || !Number.isFinite(gainDb)) return 1;
  const factor = 10 ** (gainDb / 20);
  return typeof peak === "number" && peak > 0 ? Math.min(factor, 1 / peak) : factor;
}
