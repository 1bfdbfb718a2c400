// Addresses of cover pictures.

import { pathTo } from "../address.js";

/**
 * The address of a track's cover.
 * @param {{ id: string, albumId?: string }} track
 * @param {64 | 160 | 320 | 640} size pixels of a side
 */
export const coverAddress = ({ id, albumId }, size) =>
  `${albumId ? pathTo("covers", "album", albumId) : pathTo("covers", "track", id)}?size=${size}`;
