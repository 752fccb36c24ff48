"""What the figures on a model's card are, in words: a name alone tells a reader neither chance nor what it is out of.

Words only; the figures come from each task's validation.
"""

from __future__ import annotations

from collections.abc import Mapping

# Of each training, by the figure's name or by its part before "/" or after the last "_".
FIGURES: Mapping[str, Mapping[str, str]] = {
    "codec": {
        "si_sdr_db": "of one track from continuous latents, dB, median over eight held-out songs (task.valid_songs)",
        "log_mel_db": "log-mel distance, dB, mean over the same; 0 is no difference",
    },
    "clap": {
        "mix_top1": "another window of the same song among windows of songs of its style; chance 1 / gallery",
        "stem_top1": "the same for a stem among the same stem of other songs; chance above 1 / gallery where it rests",
        "gallery": "songs in a gallery, mean over styles",
        "text_top10": "the song of a caption among the first ten of text_gallery; chance 10 / text_gallery",
        "text_gallery": "held-out songs",
        "style": 'style of a song by the words "<style> music"; chance 1 / styles',
        "styles": "how many styles",
    },
    "scorer": {
        "gallery": "songs in a gallery, one window each; as many queries for each style",
        "top1": "the window itself among the others, after this degradation; chance 1 / gallery",
        "heavy_top1": "the same after a remix and four degradations in a row; chance 1 / gallery",
        "heavy_pairwise": "the same, pairwise; chance 0.5",
        "other_time": "windows whose heavily degraded copy is nearer than another window of the song; chance 0.5",
    },
    "encoder": {
        "windows": "queries, of listeners and songs that were held out",
        "songs": "held-out songs heard in them",
        "gallery": "songs in a gallery, one window each",
        "pairwise_global": "the heard mix's embedding against another song's; chance 0.5",
        "pairwise_stems": "the same by the four stems' embeddings; chance 0.5",
        "pairwise_joint": "the same by mix and stems together; chance 0.5",
        "top1_global": "first of the gallery by the mix; chance 1 / gallery",
        "top1_stems": "the same by the stems; chance 1 / gallery",
        "top1_joint": "the same by both; chance 1 / gallery",
        "cosine_global": "mean cosine to the heard mix's embedding",
        "cosine_stems": "the same of the stems, concatenated",
        "cosine_joint": "the same of mix and stems, concatenated",
        "r_onset_at_delay": "onset curves, at the one delay of each listener that fits best",
        "r": "Pearson correlation of decoded and heard curves, without any delay",
        "pairwise_global_without_positions": "as pairwise_global, electrode positions withheld; chance 0.5",
        "top1_global_without_positions": "as top1_global, electrode positions withheld; chance 1 / gallery",
    },
    "diffusion": {
        "loss": "flow loss of held-out songs, one window each, mean over five times",
        "loss_at": "the same at one time, 0 noise to 1 music",
        "noisy_loss": "the same, mean over the times 0.1, 0.3 and 0.5, where conditions count",
        "noisy_loss_other_embeddings": "the same, given another song's embeddings: higher if they are followed",
        "noisy_loss_other_curves": "the same, given another song's curves",
        "noisy_loss_no_conditions": "the same, given no conditions",
    },
}


def figure_words(training: str, figure: str) -> str:
    """What a figure is; empty for one that nobody has described.

    >>> figure_words("codec", "log_mel_db/bass")
    'log-mel distance, dB, mean over the same; 0 is no difference'
    """
    words = FIGURES.get(training, {})
    for name in (figure, figure.partition("/")[0], figure.rpartition("_")[0], figure.rpartition("_")[2]):
        if name in words:
            return words[name]
    return words.get(figure.partition("_")[0], "")
