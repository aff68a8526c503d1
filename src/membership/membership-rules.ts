import { addMonths, type IsoDate } from '../kernel/calendar.ts';

/** As the document has it in `processing.removal_reason`. */
export const REMOVAL_REASON = '12 months after payout';

/** The day on which a membership ends: 12 calendar months after completion; 29 February becomes the 28th. */
export const removalDateFor = (completedDate: IsoDate): IsoDate => addMonths(completedDate, 12);
