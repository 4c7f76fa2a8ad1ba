/** The stretch of a video that its time axis shows. */

/** @typedef {import("./data.js").Segment} Segment */

/** The least that is shown, in seconds. */
const SHORTEST = 1;

export class TimeWindow {
  /** @param {number} duration of the video, in seconds */
  constructor(duration) {
    this.duration = duration;
    this.start = 0;
    this.length = duration;
  }

  get whole() {
    return this.length >= this.duration;
  }

  /**
   * A time's place on the axis, as a length of CSS.
   *
   * @param {number} seconds
   */
  left(seconds) {
    return `${(100 * Math.max(seconds - this.start, 0)) / this.length}%`;
  }

  /**
   * The share of the axis, 0 to 1, that what is seen of a segment covers.
   *
   * @param {Segment} segment
   */
  share({ start, end }) {
    return Math.max(Math.min(end, this.start + this.length) - Math.max(start, this.start), 0) / this.length;
  }

  /**
   * The time at a place of the axis, 0 to 1.
   *
   * @param {number} place
   */
  timeAt(place) {
    return this.start + place * this.length;
  }

  /** @param {number} seconds */
  holds(seconds) {
    return seconds >= this.start && seconds <= this.start + this.length;
  }

  /** @param {Segment} segment */
  shows({ start, end }) {
    return end >= this.start && start <= this.start + this.length;
  }

  /**
   * Show another stretch of the same length, and say whether it is another.
   *
   * @param {number} start
   */
  moveTo(start) {
    const before = this.start;
    this.start = Math.min(Math.max(start, 0), this.duration - this.length);
    return this.start !== before;
  }

  /**
   * Show this many times as much, and leave a time where it is; says whether that changed anything.
   *
   * @param {number} factor
   * @param {number} around in seconds; what is out of sight comes to the middle
   */
  zoom(factor, around) {
    const place = this.holds(around) ? (around - this.start) / this.length : 0.5;
    const length = Math.min(Math.max(this.length * factor, Math.min(SHORTEST, this.duration)), this.duration);
    const changed = length !== this.length;
    this.length = length;
    return this.moveTo(around - place * length) || changed;
  }

  /**
   * Show a segment with twice its length on both sides.
   *
   * @param {Segment} segment
   */
  show({ start, end }) {
    this.length = Math.min(Math.max(5 * (end - start), Math.min(SHORTEST, this.duration)), this.duration);
    this.moveTo((start + end - this.length) / 2);
  }
}
