"""Which split the name of a folder means: "Training Images", "seg_test", "학습용 데이터"."""

import re
import unicodedata

TRAIN, VALIDATION, TEST = "train", "validation", "test"
EVALUATION = "evaluation"  # the test split, or validation where there is another test split

_SPELLINGS = {
    TRAIN: "train training trn trainval 학습 훈련 训练 訓練 学習",
    VALIDATION: "val valid validate validation dev 검증 验证 驗證 検証",
    TEST: "test tests testing holdout 시험 테스트 测试 測試 テスト",
    EVALUATION: "eval evaluate evaluation 평가 评估 評価",
}
_KINDS = {word: kind for kind, words in _SPELLINGS.items() for word in words.split()}
_SAYS_NOTHING = (
    "set sets data dataset datasets image images img imgs photo photos picture pictures pic pics "
    "file files folder split splits jpg jpeg png the of for "
    "데이터 데이터셋 이미지 사진 세트 셋 용 폴더 数据 数据集 集 图片 图像 データ 画像 用"
)
_PLAIN = _SAYS_NOTHING.split()


def _any_of(words) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_WORD = re.compile(r"[^\W\d_]+")
_SPLIT = re.compile(f"(?:{_any_of(_PLAIN)})*({_any_of(_KINDS)})(?:{_any_of(_PLAIN)})*")
_NOTHING = re.compile(f"(?:{_any_of(_PLAIN)})+")


def read(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Returns the split that a folder's name means, and the words that have to do with none.

    The split is None for a name without one, or with several ("train_test_split").
    """
    # TrainImages is two words; "hold-out" is one.
    parted = re.sub("(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", name))
    lowered = re.sub(r"hold[\W_]*out", "holdout", parted.casefold())
    kinds, rest = set(), []
    for word in _WORD.findall(lowered):
        if match := _SPLIT.fullmatch(word):
            kinds.add(_KINDS[match[1]])
        elif not _NOTHING.fullmatch(word):
            rest.append(word)
    return (kinds.pop() if len(kinds) == 1 else None), tuple(rest)


def is_plain(name: str) -> bool:
    """Says whether a name has words, and only those of splits or of images in general."""
    return bool(_WORD.search(name)) and not read(name)[1]
