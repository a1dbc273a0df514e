"""What a model says of each clip of an evaluation.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.dataio.files import write_csv


def write_predictions(path, ids, targets, probs, labels, top_k=5):
    """Writes the most probable classes of each clip, the worst clips first.

    The columns are ``ID``; ``labels``, joined by ``;``; ``probability``, the
    lowest one that a label of the clip has; then ``tag_1``, ``probability_1``
    and so on. The clips whose labels are believed the least come first: errors
    of the model, or of the labels. Clips without a label come last.

    Arguments
    ---------
    path : str
        The CSV file to write.
    ids : list of str
        Names of the clips.
    targets : torch.Tensor
        Multi-hot labels ``[clips, C]``.
    probs : torch.Tensor
        Probabilities ``[clips, C]``.
    labels : list of str
        Names of the classes.
    top_k : int
        How many classes to write, if there are as many.

    Example
    -------
    >>> import torch
    >>> path, targets = getfixture("tmpdir") / "predictions.csv", torch.eye(2)
    >>> probs = torch.tensor([[0.75, 0.25], [0.5, 0.375]])
    >>> labels = ["Siren", "Beep"]
    >>> write_predictions(path, ["a", "b"], targets, probs, labels, top_k=1)
    >>> print(path.read_text("utf-8"))
    ID,labels,probability,tag_1,probability_1
    b,Beep,0.3750,Siren,0.5000
    a,Siren,0.7500,Siren,0.7500
    <BLANKLINE>
    """
    true = targets > 0.5
    lowest = probs.masked_fill(~true, float("inf")).amin(1)
    top_k = min(top_k, len(labels))
    best_probs, best_classes = (best.tolist() for best in probs.topk(top_k))
    header = ["ID", "labels", "probability"]
    for rank in range(1, top_k + 1):
        header += [f"tag_{rank}", f"probability_{rank}"]
    rows = []
    for i in lowest.argsort(stable=True).tolist():
        names = [labels[c] for c in true[i].nonzero().flatten()]
        row = [ids[i], ";".join(names), f"{lowest[i]:.4f}" if names else ""]
        for prob, c in zip(best_probs[i], best_classes[i]):
            row += [labels[c], f"{prob:.4f}"]
        rows.append(row)
    write_csv(path, header, rows)
