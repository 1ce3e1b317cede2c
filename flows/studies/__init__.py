"""The studies, one file each, as data. Only here a study is named."""
