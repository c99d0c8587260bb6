"""How people take, keep and give the floor in French; `table.py` says what each set is."""

from local_voice.turn_words.table import TurnWords, phrases

FRENCH = TurnWords(
    hums=phrases("m, mm, mhm, hm, hmm, ah, oh, euh, hein, ha, aha, eh, ouh, ah bah, oh là là"),
    backchannels=phrases(
        "oui, ouais, ok, okay, o k, d'accord, je vois, je comprends, bien, très bien, bien sûr, exact, "
        "exactement, voilà, c'est ça, super, génial, ah bon, vraiment, tout à fait, c'est vrai, en effet, "
        "bon, parfait, entendu, ça marche, merci, ah oui, wow, cool"
    ),
    answers=phrases(
        "oui, ouais, non, nan, si, ok, okay, d'accord, bien sûr, volontiers, peut être, je crois, je pense, "
        "je ne sais pas, je sais pas, pas du tout, pas vraiment, pas encore, pas maintenant, exact, "
        "exactement, tout à fait, c'est ça, ça marche, avec plaisir, absolument, jamais, rien, parfait, "
        "allez y, vas y, mhm, plus tard, bien sûr que non, bien sûr que oui"
    ),
    courtesy=phrases("s'il vous plaît, s'il te plaît, merci, merci bien, merci beaucoup, alors, donc"),
    stops=phrases(
        "stop, arrête, arrêtez, arrête toi, arrêtez vous, attends, attendez, attends un peu, un instant, "
        "un moment, une seconde, une minute, tais toi, taisez vous, silence, chut, ça suffit, assez, "
        "non non, laisse tomber, laissez tomber, oublie, oubliez, pause, annule, halte, tant pis"
    ),
    openers=phrases(
        "euh, ben, bah, alors, bon, donc, et, mais, oui, non, ok, okay, d'accord, hé, eh, salut, bonjour, "
        "ah, oh, s'il te plaît, enfin, en fait, dis, merci"
    ),
    never_last={
        "an article": phrases("le, la, les, un, une, des, du, au, aux, l, d"),
        "a possessive": phrases(
            "mon, ma, mes, ton, ta, tes, son, sa, ses, notre, votre, nos, vos, leur, leurs, ce, cet, cette, "
            "ces"
        ),
        "a conjunction": phrases(
            "et, ou, mais, que, si, car, ni, parce que, parce qu, lorsque, puisque, quand, comme, or, qui"
        ),
        "a preposition": phrases(
            "de, à, en, dans, par, sur, sous, vers, chez, sans, entre, pour, avec, pendant, dès, jusqu'à, "
            "jusqu"
        ),
        "a filler": phrases("euh, heu, hum, hm, hmm, ben, bah, genre, enfin, alors, mm"),
    },
    auxiliaries=phrases(
        "est, suis, es, sommes, êtes, sont, ai, as, avons, avez, ont, était, sera, j'ai, c'est, je suis, "
        "il y a, y a, peut, peux, veux, voudrais, je voudrais, j'aimerais, faut, n'est, s'appelle"
    ),
    licences=phrases(
        "où, qui, quoi, comment, quand, quel, quelle, quels, quelles, combien, pourquoi, ce que, si, que, "
        "comme, dont"
    ),
    pronouns=phrases("je, tu, il, elle, on, nous, vous, ils, elles, ça"),
    subordinators=phrases(
        "si, quand, lorsque, parce que, avant de, après, pendant que, dès que, tant que, bien que, comme"
    ),
    joiners=phrases("et, ou"),
    determiners=phrases("mon, ma, mes, ton, ta, tes, un, une, des, le, la, les, deux, trois, quatre, cinq"),
    complete=phrases(
        "c'est qui, un peu plus, en plus, ou pas, pas de, et toi, au moins, du moins, le mien, si si, "
        "moi non plus, non plus, plus ou moins, de plus, encore plus, vas y, et alors, à plus, oui je veux, "
        "si tu veux, c'est à qui, je n'en veux plus, tu viens avec, que c'est, qui c'est, comme c'est, "
        "il y en a"
    ),
    unfinished=phrases(
        "peux tu, pouvez vous, pourriez vous, pourrais tu, est ce que tu, est ce que vous, "
        "est ce qu'il y a, donne moi, donnez moi, montre moi, par exemple, je veux dire, et puis, "
        "comment dire, comment on dit, attends voir, tu sais, voyons, je, et je, que je, mais je"
    ),
    asks_yes_no=phrases(
        "est ce que, est ce qu'il, es tu, êtes vous, as tu, avez vous, veux tu, voulez vous, peux tu, "
        "pouvez vous, dois je, puis je, voudriez vous, souhaites tu, souhaitez vous, tu veux, vous voulez, "
        "aimes tu, aimeriez vous, c'est, autre chose, prêt, prête, ça va"
    ),
    tags=phrases(
        "non, hein, d'accord, n'est ce pas, c'est ça, ou non, ou pas, ok, oui, ça va, ça vous va, ça te va"
    ),
    requests=phrases(
        "pouvez vous me, peux tu me, pourriez vous me, pourrais tu me, dites moi, dis moi, donnez moi, "
        "donne moi, épelez, épelle, puis je avoir, est ce que je peux avoir, veuillez, pouvez vous épeler, "
        "peux tu épeler, pourriez vous épeler"
    ),
    alternatives=phrases("ou"),
    asks_digits=phrases(
        "numéro, code, code postal, téléphone, date, date de naissance, anniversaire, chiffres, pin, "
        "compte, iban, né, née"
    ),
    asks_spelling=phrases(
        "épeler, épelez, épelle, s'écrit, écrit, adresse, e mail, mail, mot de passe, rue, lettre par lettre"
    ),
    asks_list=phrases(
        "ingrédients, articles, noms, choses, liste, quels éléments, de quoi as tu besoin, "
        "de quoi avez vous besoin"
    ),
    invented=phrases("merci, merci beaucoup, au revoir, bonne journée, à bientôt, ah, oh, mm, et, voilà"),
    never_said=phrases(
        "sous titres réalisés, sous titrage, sous titres par, sous titrage st' 501, "
        "sous titrage société radio canada, merci d'avoir regardé, abonnez vous, "
        "merci d'avoir regardé cette vidéo, à la prochaine vidéo, n'oubliez pas de vous abonner"
    ),
)
